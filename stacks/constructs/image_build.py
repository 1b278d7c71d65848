from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from settings import OperationsSettings
from stacks.constructs.acknowledge import acknowledge
from stacks.constructs.function import RETENTION

# Each command is a line of the build's log, and one that fails ends the build. Nothing is pushed that the audit did not
# call clean, for whatever reason there is no such word. Reference:
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
_BUILDSPEC: Final[dict[str, Any]] = {
    "version": "0.2",
    "env": {"shell": "bash", "exported-variables": ["BASE_DIGEST", "AUDIT"]},
    "phases": {
        "install": {"runtime-versions": {"python": "3.12"}},
        "pre_build": {
            "commands": [
                'aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE_URI%%/*}"',
                # A tag of the base is moved when AWS patches it: the image is built from what it stands for now, and
                # says so.
                'export BASE="$(sed -n "s/^ARG BASE=//p" Dockerfile)"',
                'docker pull --quiet "$BASE"',
                'export BASE_REFERENCE="$(docker image inspect --format "{{index .RepoDigests 0}}" "$BASE")"',
                'export BASE_DIGEST="${BASE_REFERENCE##*@}"',
            ]
        },
        "build": {
            "commands": [
                'docker build --build-arg "BASE=$BASE@$BASE_DIGEST" '
                '--build-arg "REVISION=$REVISION" --build-arg "PRETRAINED=${PRETRAINED:-}" '
                '--label "org.opencontainers.image.base.name=$BASE" '
                '--label "org.opencontainers.image.base.digest=$BASE_DIGEST" '
                '--label "org.opencontainers.image.revision=$REVISION" '
                '--label "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)" '
                '--tag "$IMAGE_URI" .',
                # The source is the content of jobs/, which is run as the package jobs.
                'export AUDITOR="$(mktemp -d)" && ln -s "$PWD" "$AUDITOR/jobs"',
                'docker image inspect "$BASE" > "$AUDITOR/base.json"',
                # Through a pipe: Docker makes a copy of the layers while it saves them, and no second one is needed.
                'docker image save "$IMAGE_URI" | PYTHONPATH="$AUDITOR" python -m jobs audit - '
                '--base "$AUDITOR/base.json" --summary "$AUDITOR/summary.txt" || true',
                'export AUDIT="$(cat "$AUDITOR/summary.txt")"',
                '[[ "$AUDIT" == clean:* ]]',
                # Tags are immutable: another build of the same source may have been first.
                'docker push --quiet "$IMAGE_URI" || docker manifest inspect "$IMAGE_URI" > /dev/null',
            ]
        },
    },
}
_OWN_GRANT: Final = "CDK's own grant to read the one source object"


class ImageBuild(codebuild.Project):
    """Builds the container of the jobs from a source in S3, audits it and pushes it.

    `variables` are those that the buildspec and the Dockerfile ask for: IMAGE_URI, REVISION and, where weights are
    baked in, PRETRAINED.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        source: assets.Asset,
        repository: ecr.Repository,
        variables: dict[str, str],
        operations: OperationsSettings,
    ) -> None:
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=RETENTION[operations.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        super().__init__(
            scope,
            construct_id,
            description="Builds the container of the SageMaker jobs, audits it and pushes it under its tag",
            source=codebuild.Source.s3(bucket=source.bucket, path=source.s3_object_key),
            # Its disk of 128 GB holds base, image and the copy that `docker image save` makes of the layers:
            # https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.MEDIUM,
                privileged=True,
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value) for name, value in variables.items()
            },
            build_spec=codebuild.BuildSpec.from_object(_BUILDSPEC),
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)),
            grant_report_group_permissions=False,
            timeout=Duration.minutes(75),
            queued_timeout=Duration.minutes(30),
        )
        repository.grant_pull_push(self)
        for action in ("s3:GetObject*", "s3:GetBucket*", "s3:List*"):
            acknowledge(self, f"AwsSolutions-IAM5[Action::{action}]", _OWN_GRANT)
        acknowledge(self, "AwsSolutions-CB3", "building a container image needs the Docker daemon")
        acknowledge(self, "AwsSolutions-CB4", "the build has no artifact to encrypt: it pushes to ECR, which encrypts")
