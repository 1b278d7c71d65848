"""What becomes of one target, as states: the item of the compilation machine's Map. It always ends with a package."""

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, JobsSettings, OperationsSettings
from stacks.constructs.comparison import comparison_job
from stacks.constructs.compilation_functions import CompilationFunctions
from stacks.constructs.compilation_job import AROUND_SECONDS, compilation_job
from stacks.constructs.endpoint import EndpointTest
from stacks.constructs.function import FunctionTask
from stacks.constructs.machine import run
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.sagemaker import COMPILATION, PROCESSING, JobRole, job_statements
from stacks.jobs import JobsStack
from stacks.storage import StorageStack


class TargetPackage:
    """`start` is the first of the states, `statements` what their machine's role needs for them.

    Whatever fails leads to a package without compiled files, or to none, and to no error: targets fail alone.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: CompilationSettings,
        jobs_settings: JobsSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
        functions: CompilationFunctions,
    ) -> None:
        self._scope, self._functions = scope, functions
        self._done = sfn.Pass(scope, "Packaged", input_path=path(c.PACKAGED, c.PACKAGE))
        self._nothing = sfn.Pass(scope, "NotPackaged", parameters=_no_package())
        role = JobRole(scope, "JobRole")
        grant_objects(role, storage.data_bucket, read=["models/*/source/*"], write=["models/*/compiled/*"])
        comparison_role = JobRole(scope, "ComparisonJobRole", repository=jobs.repository)
        grant_objects(
            comparison_role, storage.data_bucket, read=["datasets/*", "images/*"], write=["models/*/comparisons/*"]
        )
        grant_objects(comparison_role, storage.artifact_bucket, read=["models/*"])
        self.statements: list[iam.PolicyStatement] = [
            *job_statements(scope, COMPILATION, role),
            *job_statements(scope, PROCESSING, comparison_role),
        ]
        final: sfn.IChainable = self._done
        if settings.endpoint.enabled:
            endpoint = EndpointTest(scope, "EndpointTest", settings=settings, operations=operations, storage=storage)
            endpoint.unhost.add_catch(self._nothing, result_path=path(c.ERROR))
            self.statements += endpoint.statements
            final = endpoint.next(self._done)
        compare = comparison_job(
            scope,
            "Measure",
            jobs_settings=jobs_settings,
            operations=operations,
            bucket=storage.data_bucket,
            image_uri=jobs.image_uri,
            role=comparison_role,
            inputs=path(c.PACKAGED, c.PROCESSING_INPUTS),
            instance_type=path(c.TARGET, c.INSTANCE_TYPE),
        )
        package = self._package(
            "Package",
            artifact_uri=at(c.JOB, "ModelArtifacts", "S3ModelArtifacts"),
            inference_image=at(c.JOB, "InferenceImage"),
        )
        package.next(self._measured(run(scope, "Image", machine=jobs.machine, payload={}), compare, then=final))
        ended = _words(at(c.JOB, "CompilationJobStatus"), at(c.JOB, "FailureReason"))
        seconds = settings.max_runtime_seconds + AROUND_SECONDS
        create = compilation_job(
            scope,
            settings=settings,
            operations=operations,
            role=role,
            compiled=package,
            failed=self._without("PackageFailed", ended),
            timed_out=self._without("PackageTimedOut", f"timeout: the job did not end within {seconds} seconds"),
            not_made=self._without("PackageRefused", _words(at(c.ERROR, "Error"), at(c.ERROR, "Cause"))),
        )
        impossible = self._without("PackageImpossible", at(c.TARGET, c.REFUSAL))
        is_possible = sfn.Condition.string_equals(path(c.TARGET, c.REFUSAL), "")
        self.start = sfn.Choice(scope, "Possible").when(is_possible, create).otherwise(impossible)

    def _measured(self, image: sfn.TaskStateBase, compare: sfn.CustomState, *, then: sfn.IChainable) -> sfn.Choice:
        """Compared with its source where that can be done: what is worse, or could not be compared, does not ship."""
        judge = self._functions.judge()
        for state in (image, compare):
            state.add_catch(judge, result_path=path(c.ERROR))
        unjudged = sfn.JsonPath.format(
            "parity: the comparison could not be judged ({}): the log of the function Judge says why",
            at(c.ERROR, "Error"),
        )
        judge.add_catch(self._without("PackageUnjudged", unjudged), result_path=path(c.ERROR))
        judge.next(then)
        can_be = sfn.Condition.and_(
            sfn.Condition.not_(sfn.Condition.string_equals(path(c.TARGET, c.INSTANCE_TYPE), "")),
            sfn.Condition.is_present(f"{path(c.PACKAGED, c.PROCESSING_INPUTS)}[0]"),
        )
        return sfn.Choice(self._scope, "Measurable").when(can_be, image.next(compare).next(judge)).otherwise(then)

    def _without(self, name: str, failure_reason: str) -> FunctionTask:
        """Packages the target without compiled files, and is its end."""
        state = self._package(name, failure_reason=failure_reason)
        state.next(self._done)
        return state

    def _package(self, name: str, **what: str) -> FunctionTask:
        state = self._functions.package(name, **what)
        state.add_catch(self._nothing, result_path=path(c.ERROR))
        return state


def _words(what: str, why: str) -> str:
    return sfn.JsonPath.format("{}: {}", what, why)


def _no_package() -> dict[str, Any]:
    """The Package of a target for which none could be made, since the model itself cannot be read or written."""
    failure = {
        "kind": "unknown",
        "reason": sfn.JsonPath.format("{} when the package was made or tried", at(c.ERROR, "Error")),
        "advice": "read the logs of the functions Package and Unhost, mend what they name, and start the stage again",
    }
    return {
        "target": at(c.TARGET, c.NAME),
        "outcome": "refused",
        "delivery": at(c.TARGET, c.DELIVERY),
        "platform": sfn.JsonPath.object_at(path(c.TARGET, c.RECORD, c.GREENGRASS)),
        "runtime": at(c.TARGET, c.RECORD, c.RUNTIME),
        "key": "",
        "bytes": 0,
        "artifact_uri": "",
        "inference_image": "",
        "failure": failure,
        "parity": sfn.JsonPath.string_to_json("null"),  # jsii leaves None out
    }
