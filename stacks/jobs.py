from pathlib import Path

from aws_cdk import CfnOutput, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from settings import OperationsSettings
from stacks.constructs.acknowledge import acknowledge
from stacks.constructs.function import RETENTION
from stacks.constructs.machine import Machine

SOURCE = Path(__file__).parents[1] / "jobs"


class JobsStack(Stack):
    """The container that labeling and training run their jobs in, built in the account from jobs/ when it is missing.

    The image's tag is the hash of jobs/, so the image of a deployment is known before it exists.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, env: Environment, operations: OperationsSettings
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        self.repository = ecr.Repository(
            self,
            "Repository",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=20)],
            removal_policy=RemovalPolicy.DESTROY,
        )
        source = assets.Asset(self, "Source", path=str(SOURCE), exclude=["**/__pycache__", "*.pyc", "*.md"])
        self.image_uri = self.repository.repository_uri_for_tag(source.asset_hash)

        find = tasks.CallAwsService(
            self,
            "FindImage",
            service="ecr",
            action="describeImages",
            parameters={
                "RepositoryName": self.repository.repository_name,
                "ImageIds": [{"ImageTag": source.asset_hash}],
            },
            iam_resources=[self.repository.repository_arn],
            result_path=sfn.JsonPath.DISCARD,
        )
        build = tasks.CodeBuildStartBuild(
            self,
            "BuildImage",
            project=self._project(source, operations),
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            result_path=sfn.JsonPath.DISCARD,
        )
        self.machine = Machine(
            self,
            "Machine",
            definition=find.add_catch(build, errors=["Ecr.ImageNotFoundException"], result_path="$.error"),
            operations=operations,
            timeout=Duration.hours(2),
        )
        CfnOutput(self, "RepositoryName", key="Repository", value=self.repository.repository_name)

    def _project(self, source: assets.Asset, operations: OperationsSettings) -> codebuild.Project:
        project = codebuild.Project(
            self,
            "ImageBuild",
            description="Builds the container of the SageMaker jobs and pushes it under the hash of its source",
            source=codebuild.Source.s3(bucket=source.bucket, path=source.s3_object_key),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.MEDIUM,
                privileged=True,
            ),
            environment_variables={"IMAGE_URI": codebuild.BuildEnvironmentVariable(value=self.image_uri)},
            build_spec=codebuild.BuildSpec.from_object(
                {
                    "version": "0.2",
                    "phases": {
                        "pre_build": {
                            "commands": [
                                "aws ecr get-login-password | docker login --username AWS --password-stdin "
                                '"${IMAGE_URI%%/*}"'
                            ]
                        },
                        "build": {"commands": ['docker build --tag "$IMAGE_URI" .']},
                        "post_build": {
                            # post_build runs after a failed build too: there is nothing to push then.
                            "commands": ['test "$CODEBUILD_BUILD_SUCCEEDING" = 1 && docker push "$IMAGE_URI"']
                        },
                    },
                }
            ),
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(
                    log_group=logs.LogGroup(
                        self,
                        "ImageBuildLogs",
                        retention=RETENTION[operations.log_retention_days],
                        removal_policy=RemovalPolicy.DESTROY,
                    )
                )
            ),
            grant_report_group_permissions=False,
            timeout=Duration.hours(1),
        )
        self.repository.grant_pull_push(project)
        for action in ("s3:GetObject*", "s3:GetBucket*", "s3:List*"):
            acknowledge(
                project, f"AwsSolutions-IAM5[Action::{action}]", "CDK's own grant to read the one source object"
            )
        acknowledge(project, "AwsSolutions-CB3", "building a container image needs the Docker daemon")
        acknowledge(
            project, "AwsSolutions-CB4", "the build has no artifact to encrypt: it pushes to ECR, which encrypts"
        )
        return project
