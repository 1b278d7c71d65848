"""The functions of training's machine, as states."""

from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import OperationsSettings, TrainingSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.jobs import JobsStack
from stacks.storage import StorageStack


class TrainingFunctions:
    """Each method makes one function, with the permissions that it needs, and the state that runs it."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: TrainingSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        self._scope, self._settings, self._operations = scope, settings, operations
        self._storage, self._jobs = storage, jobs
        self._bucket = storage.data_bucket

    def prepare(self) -> FunctionTask:
        function = self._function("Prepare", "prepare", {"DATA_BUCKET": self._bucket.bucket_name, **self._instances()})
        grant_objects(function, self._bucket, read=["datasets/*"])
        event = {
            c.DATASET_VERSION: at(c.DATASET_VERSION),
            c.EXECUTION: sfn.JsonPath.string_at("$$.Execution.Id"),
            c.REDRIVES: sfn.JsonPath.number_at("$$.Execution.RedriveCount"),
        }
        return self._task("Prepare", function, event, result=c.PLAN)

    def next_attempt(self) -> FunctionTask:
        event = {
            c.PLAN: sfn.JsonPath.object_at(path(c.PLAN)),
            c.JOB: sfn.JsonPath.object_at(path(c.JOB)),
            c.REDRIVES: sfn.JsonPath.number_at("$$.Execution.RedriveCount"),
        }
        function = self._function("NextAttempt", "next_attempt", self._instances())
        return self._task("NextAttempt", function, event, result=c.PLAN)

    def find_champion(self) -> FunctionTask:
        function = self._function("FindChampion", "find_champion", {"DATA_BUCKET": self._bucket.bucket_name})
        self._storage.grant_registry(function)
        event = {
            c.MODEL_VERSION: at(c.PLAN, c.MODEL_VERSION),
            c.DATASET_VERSION: at(c.DATASET_VERSION),
            c.TRAINING_JOB: at(c.JOB, "TrainingJobName"),
        }
        return self._task("FindChampion", function, event, result=c.EVALUATION)

    def register(self) -> FunctionTask:
        environment = {
            "DATA_BUCKET": self._bucket.bucket_name,
            "IMAGE_URI": self._jobs.image_uri,
            "APPROVAL": self._settings.approval,
        }
        function = self._function("Register", "register", environment)
        grant_objects(function, self._bucket, read=["models/*"])
        self._storage.grant_registry(function, register=True)
        # The registry notes the digest of a package's image, which it reads with the caller's permissions:
        # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSageMakerModelRegistryFullAccess.html
        self._jobs.repository.grant(function, "ecr:BatchGetImage", "ecr:DescribeImages")
        event = {c.MODEL_VERSION: at(c.PLAN, c.MODEL_VERSION)}
        return self._task("Register", function, event, result=c.VERDICT)

    def _instances(self) -> dict[str, str]:
        settings = self._settings
        return {
            "INSTANCE_TYPES": ",".join(settings.instance_types),
            "INSTANCE_COUNT": str(settings.instance_count),
            "MAX_RUNTIME_SECONDS": str(settings.max_runtime_seconds),
            "MAX_WAIT_SECONDS": str(settings.max_wait_seconds if settings.spot else 0),
        }

    def _function(self, state: str, module: str, environment: dict[str, str]) -> Function:
        return Function(
            self._scope,
            f"{state}Function",
            handler=f"training.{module}",
            environment=environment,
            operations=self._operations,
        )

    def _task(self, state: str, function: Function, event: dict[str, Any], *, result: str) -> FunctionTask:
        return FunctionTask(self._scope, state, function=function, event=event, result=result)
