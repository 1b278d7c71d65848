from typing import Any

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.machine import Machine
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, job_name, path
from stacks.constructs.polling import Polling
from stacks.constructs.sagemaker import COMPILATION, JobRole, job_statements, job_tags
from stacks.constructs.task import task
from stacks.storage import StorageStack


class CompilationStack(Stack):
    """A model becomes one package per target; a target that Neo cannot serve fails alone."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: CompilationSettings,
        operations: OperationsSettings,
        storage: StorageStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        self._settings, self._operations, self._storage = settings, operations, storage
        self._role = JobRole(self, "JobRole")
        grant_objects(self._role, storage.data_bucket, read=["models/*"], write=["models/*"])

        prepare = FunctionTask(
            self,
            "Prepare",
            function=self._function("Prepare", "prepare", TARGETS=",".join(settings.targets)),
            event={c.MODEL_VERSION: at(c.MODEL_VERSION)},
            result=c.TARGETS,
        )
        targets = sfn.Map(
            self,
            "Targets",
            items_path=path(c.TARGETS),
            item_selector={
                c.MODEL_VERSION: at(c.MODEL_VERSION),
                c.TARGET: sfn.JsonPath.object_at("$$.Map.Item.Value"),
            },
            max_concurrency=settings.max_concurrency,
            result_path=path(c.PACKAGES),
        ).item_processor(self._compile_and_package())
        summarize = FunctionTask(
            self,
            "Summarize",
            function=self._function("Summarize", "summarize", MINIMUM_TARGETS=str(settings.minimum_targets)),
            event={c.MODEL_VERSION: at(c.MODEL_VERSION), c.PACKAGES: sfn.JsonPath.list_at(path(c.PACKAGES))},
        )
        self.machine = Machine(
            self,
            "Machine",
            definition=prepare.next(targets).next(summarize),
            operations=operations,
            statements=job_statements(self, COMPILATION, self._role),
        )

    def _compile_and_package(self) -> sfn.IChainable:
        package = self._function(
            "Package", "package", memory_mib=1024, ARTIFACT_BUCKET=self._storage.artifact_bucket.bucket_name
        )
        grant_objects(package, self._storage.artifact_bucket, read=["models/*"], write=["models/*"])

        def package_state(name: str, **what: str) -> FunctionTask:
            event = {
                c.MODEL_VERSION: at(c.MODEL_VERSION),
                c.NAME: at(c.TARGET, c.NAME),
                c.ARTIFACT_URI: "",
                c.FAILURE_REASON: "",
            }
            return FunctionTask(self, name, function=package, event={**event, **what})

        refused = package_state("PackageRefused", failure_reason=at(c.ERROR, "Cause"))
        polling = Polling(
            self,
            "Compilation",
            describe=task(
                self,
                "Describe",
                integration="aws-sdk:sagemaker:describeCompilationJob",
                request={"CompilationJobName.$": path(c.JOB, "CompilationJobName")},
                result=c.JOB,
            ),
            status=(c.JOB, "CompilationJobStatus"),
            succeeded=["COMPLETED"],
            on_success=package_state("Package", artifact_uri=at(c.JOB, "ModelArtifacts", "S3ModelArtifacts")),
            failed=["FAILED", "STOPPED"],
            # A job that was stopped, by its time limit for one, gives no reason but its status.
            on_failure=package_state(
                "PackageFailed",
                failure_reason=sfn.JsonPath.format(
                    "{}: {}", at(c.JOB, "CompilationJobStatus"), at(c.JOB, "FailureReason")
                ),
            ),
            seconds=self._operations.poll_seconds,
        )
        create = task(
            self,
            "Create",
            integration="aws-sdk:sagemaker:createCompilationJob",
            request=self._compilation_job(),
            # The answer holds the ARN only; the name is asked for again under the name that was sent.
            selector={"CompilationJobName.$": "States.ArrayGetItem(States.StringSplit($.CompilationJobArn, '/'), 1)"},
            result=c.JOB,
        )
        create.add_catch(refused, errors=["States.ALL"], result_path=path(c.ERROR))
        return create.next(polling)

    def _compilation_job(self) -> dict[str, Any]:
        return {
            "CompilationJobName.$": job_name("compilation", at(c.TARGET, c.NAME)),
            "RoleArn": self._role.role_arn,
            "InputConfig.$": path(c.TARGET, c.INPUT_CONFIG),
            "OutputConfig.$": path(c.TARGET, c.OUTPUT_CONFIG),
            "StoppingCondition": {"MaxRuntimeInSeconds": self._settings.max_runtime_seconds},
            "Tags": job_tags("compilation"),
        }

    def _function(self, name: str, handler: str, *, memory_mib: int = 512, **environment: str) -> Function:
        function = Function(
            self,
            f"{name}Function",
            handler=f"compilation.{handler}",
            environment={"DATA_BUCKET": self._storage.data_bucket.bucket_name, **environment},
            timeout=Duration.minutes(10),
            memory_mib=memory_mib,
            scratch_mib=4096 if name == "Package" else 512,
            operations=self._operations,
        )
        grant_objects(function, self._storage.data_bucket, read=["models/*"], write=["models/*"])
        return function
