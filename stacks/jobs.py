import hashlib
from pathlib import Path

from aws_cdk import CfnOutput, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.image_build import ImageBuild
from stacks.constructs.machine import Machine
from stacks.constructs.paths import path

SOURCE = Path(__file__).parents[1] / "jobs"


class JobsStack(Stack):
    """The container that labeling and training run their jobs in, built in the account when it is missing.

    The image's tag is the hash of jobs/ and of what the settings have baked in, so the image of a deployment is known
    before it exists.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: JobsSettings,
        operations: OperationsSettings,
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
        baked = {"PRETRAINED": " ".join(settings.pretrained)} if settings.pretrained else {}
        tag = hashlib.sha256("\n".join((source.asset_hash, *settings.pretrained)).encode()).hexdigest()
        self.image_uri = self.repository.repository_uri_for_tag(tag)
        project = ImageBuild(
            self,
            "ImageBuild",
            source=source,
            repository=self.repository,
            variables={"IMAGE_URI": self.image_uri, "REVISION": source.asset_hash, **baked},
            operations=operations,
        )
        self.machine = Machine(
            self,
            "Machine",
            definition=self._definition(project, tag, operations),
            operations=operations,
            timeout=Duration.hours(2),
        )
        CfnOutput(self, "RepositoryName", key="Repository", value=self.repository.repository_name)

    def _definition(self, project: ImageBuild, tag: str, operations: OperationsSettings) -> sfn.IChainable:
        find = tasks.CallAwsService(
            self,
            "FindImage",
            service="ecr",
            action="describeImages",
            parameters={"RepositoryName": self.repository.repository_name, "ImageIds": [{"ImageTag": tag}]},
            iam_resources=[self.repository.repository_arn],
            result_path=sfn.JsonPath.DISCARD,
        )
        _retry_when_busy(find, ["Ecr.EcrException", "Ecr.ServerException"])
        plan = sfn.Pass(
            self,
            "PlanBuild",
            parameters={c.REDRIVES: sfn.JsonPath.number_at("$$.Execution.RedriveCount")},
            result_path=path(c.PLAN),
        )
        build = tasks.CodeBuildStartBuild(
            self,
            "BuildImage",
            project=project,
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            result_path=sfn.JsonPath.DISCARD,
        )
        _retry_when_busy(build, ["CodeBuild.AWSCodeBuildException"])
        explain = FunctionTask(
            self,
            "ExplainBuild",
            function=Function(self, "ExplainBuildFunction", handler="jobs.explain", operations=operations),
            event={
                c.ERROR: sfn.JsonPath.object_at(path(c.ERROR)),
                c.PLAN: sfn.JsonPath.object_at(path(c.PLAN)),
                c.REDRIVES: sfn.JsonPath.number_at("$$.Execution.RedriveCount"),
            },
        )
        find.add_catch(plan.next(build), errors=["Ecr.ImageNotFoundException"], result_path=path(c.ERROR))
        build.add_catch(explain, result_path=path(c.ERROR))
        explain.next(plan)
        return find


def _retry_when_busy(state: sfn.TaskStateBase, errors: list[str]) -> None:
    """Ask again what a service was too busy for. A build that failed is States.TaskFailed, and is explained.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    state.add_retry(
        errors=errors,
        interval=Duration.seconds(2),
        max_attempts=6,
        backoff_rate=2,
        jitter_strategy=sfn.JitterType.FULL,
    )
