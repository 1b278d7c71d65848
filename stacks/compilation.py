from aws_cdk import Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, JobsSettings, OperationsSettings
from stacks.constructs.compilation_functions import CompilationFunctions
from stacks.constructs.machine import Machine
from stacks.constructs.paths import at, job_name, path
from stacks.constructs.target_package import TargetPackage
from stacks.jobs import JobsStack
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
        jobs_settings: JobsSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        functions = CompilationFunctions(
            self, settings=settings, jobs_settings=jobs_settings, operations=operations, storage=storage
        )
        package = TargetPackage(
            self,
            settings=settings,
            jobs_settings=jobs_settings,
            operations=operations,
            storage=storage,
            jobs=jobs,
            functions=functions,
        )
        targets = sfn.Map(
            self,
            "Targets",
            items_path=path(c.TARGETS),
            item_selector={
                c.MODEL_VERSION: at(c.MODEL_VERSION),
                c.TARGET: sfn.JsonPath.object_at("$$.Map.Item.Value"),
                # Named here and not where it is created: a call that is made again must not make another job.
                c.JOB: {"CompilationJobName": job_name("compilation", _of_item(c.NAME))},
                c.ERROR: {},
            },
            max_concurrency=settings.max_concurrency,
            result_path=path(c.PACKAGES),
        ).item_processor(package.start)
        self.machine = Machine(
            self,
            "Machine",
            definition=functions.prepare().next(targets).next(functions.summarize()),
            operations=operations,
            statements=package.statements,
        )


def _of_item(key: str) -> str:
    """The text at a key of the item that a Map selects."""
    return sfn.JsonPath.string_at(f"$$.Map.Item.Value.{key}")
