"""The functions of compilation's machine, as states."""

import json
from collections.abc import Iterable
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from reefloop.compilation.targets import Target
from settings import CompilationSettings, JobsSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.storage import StorageStack

# A tarball of 2 GB and as much unpacked from it, or what was unpacked and the ZIP of it; the rest is for the folders
# and the last blocks of ten thousand files (reefloop.tarball.Limits).
_SCRATCH_MIB = 5120


class CompilationFunctions:
    """Each method makes one function, with the permissions that it needs, and the state that runs it."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: CompilationSettings,
        jobs_settings: JobsSettings,
        operations: OperationsSettings,
        storage: StorageStack,
    ) -> None:
        self._scope, self._settings, self._jobs_settings = scope, settings, jobs_settings
        self._operations, self._storage = operations, storage
        self._package: Function | None = None

    def prepare(self) -> FunctionTask:
        function = self._function("Prepare", INSTANCE_TYPE=self._jobs_settings.instance_type)
        grant_objects(function, self._storage.data_bucket, read=["models/*"], write=["models/*/source/*"])
        event = {
            c.INPUT: sfn.JsonPath.object_at(path()),
            c.TARGETS: _records(self._settings.chosen),
            c.OWN_TARGETS: _records(own.target() for own in self._settings.own_targets),
        }
        return self._task("Prepare", function, event, result=c.TARGETS)

    def package(self, state: str, **what: str) -> FunctionTask:
        """A state that packages the target of its input; `what` is how PackageInput differs from nothing at all."""
        if self._package is None:
            self._package = self._packer("Package")
            grant_objects(self._package, self._storage.data_bucket, read=["datasets/*"])
        event = {
            c.MODEL_VERSION: at(c.MODEL_VERSION),
            c.RECORD: sfn.JsonPath.object_at(path(c.TARGET, c.RECORD)),
            c.ARTIFACT_URI: "",
            c.INFERENCE_IMAGE: "",
            c.FAILURE_REASON: "",
            **what,
        }
        return self._task(state, self._package, event, result=c.PACKAGED)

    def judge(self) -> FunctionTask:
        function = self._packer("Judge", MAX_ACCURACY_LOSS=str(self._settings.max_accuracy_loss))
        event = {
            c.MODEL_VERSION: at(c.MODEL_VERSION),
            c.TARGET: sfn.JsonPath.object_at(path(c.TARGET)),
            c.PACKAGED: sfn.JsonPath.object_at(path(c.PACKAGED)),
            c.ERROR: sfn.JsonPath.object_at(path(c.ERROR)),
        }
        return self._task("Judge", function, event, result=f"{c.PACKAGED}.{c.PACKAGE}")

    def summarize(self) -> FunctionTask:
        function = self._function("Summarize", MINIMUM_TARGETS=str(self._settings.minimum_targets))
        grant_objects(function, self._storage.data_bucket, write=["models/*/compilation.json"])
        self._storage.grant_registry(function, update=True)
        event = {c.MODEL_VERSION: at(c.MODEL_VERSION), c.PACKAGES: sfn.JsonPath.list_at(path(c.PACKAGES))}
        return self._task("Summarize", function, event)

    def _packer(self, name: str, **environment: str) -> Function:
        """A function that makes packages: of the model, and of what was compiled, each unpacked on its disk."""
        bucket = self._storage.artifact_bucket
        function = self._function(
            name, memory_mib=1024, scratch_mib=_SCRATCH_MIB, ARTIFACT_BUCKET=bucket.bucket_name, **environment
        )
        grant_objects(function, self._storage.data_bucket, read=["models/*"])
        grant_objects(function, bucket, write=["models/*"])
        return function

    def _function(
        self, name: str, *, memory_mib: int = 512, scratch_mib: int = _SCRATCH_MIB, **environment: str
    ) -> Function:
        return Function(
            self._scope,
            f"{name}Function",
            handler=f"compilation.{name.lower()}",
            environment={"DATA_BUCKET": self._storage.data_bucket.bucket_name, **environment},
            timeout=Duration.minutes(15),
            memory_mib=memory_mib,
            scratch_mib=scratch_mib,
            operations=self._operations,
        )

    def _task(
        self, state: str, function: Function, event: dict[str, Any], *, result: str | None = None
    ) -> FunctionTask:
        return FunctionTask(self._scope, state, function=function, event=event, result=result)


def _records(targets: Iterable[Target]) -> list[dict[str, Any]]:
    """As JSON, since jsii knows no tuples."""
    records: list[dict[str, Any]] = json.loads(json.dumps([target.record() for target in targets]))
    return records
