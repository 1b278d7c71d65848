"""Neo's compilation job as states: made once, followed to its end, stopped when it does not come to one."""

from typing import Any, Final

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, OperationsSettings
from stacks.constructs.paths import path
from stacks.constructs.polling import Patience, Polling
from stacks.constructs.sagemaker import JobRole, job_tags, until_there_is_room
from stacks.constructs.task import task

# What a job may take besides its own time: it is queued, its container starts.
AROUND_SECONDS: Final = 900
_NAME: Final = "CompilationJobName"
_THE_JOB: Final = {f"{_NAME}.$": path(c.JOB, _NAME)}


def compilation_job(
    scope: Construct,
    *,
    settings: CompilationSettings,
    operations: OperationsSettings,
    role: JobRole,
    compiled: sfn.IChainable,
    failed: sfn.IChainable,
    timed_out: sfn.IChainable,
    not_made: sfn.IChainable,
) -> sfn.CustomState:
    """The first of the states. `job` in the payload has the job's name, which a repeated call finds taken by its job.

    It goes on at `compiled` or at `failed` with the job as the service describes it, at `timed_out` when it had to
    be stopped, and at `not_made` with the error at `error`.
    """
    create = task(
        scope,
        "Create",
        integration="aws-sdk:sagemaker:createCompilationJob",
        request=_request(settings, role),
        result=sfn.JsonPath.DISCARD,
        retry=[until_there_is_room(operations)],
    )
    describe = task(
        scope,
        "Describe",
        integration="aws-sdk:sagemaker:describeCompilationJob",
        request=_THE_JOB,
        result=c.JOB,
    )
    stop = task(
        scope,
        "Stop",
        integration="aws-sdk:sagemaker:stopCompilationJob",
        request=_THE_JOB,
        result=sfn.JsonPath.DISCARD,
    )
    polling = Polling(
        scope,
        "Compilation",
        describe=describe,
        status=(c.JOB, "CompilationJobStatus"),
        succeeded=["COMPLETED"],
        on_success=_with(scope, "InferenceImage", compiled),
        failed=["FAILED", "STOPPED"],
        on_failure=_with(scope, "FailureReason", failed),
        seconds=operations.poll_seconds,
        patience=Patience(settings.max_runtime_seconds + AROUND_SECONDS, stop),
    )
    # The call before it made the job, and its answer was lost.
    create.add_catch(polling, errors=["SageMaker.ResourceInUseException"], result_path=sfn.JsonPath.DISCARD)
    for state in (create, describe):
        state.add_catch(not_made, result_path=path(c.ERROR))
    # A job that ended meanwhile cannot be stopped; its time is over all the same.
    stop.add_catch(timed_out, result_path=sfn.JsonPath.DISCARD)
    create.next(polling)
    stop.next(timed_out)
    return create


def _request(settings: CompilationSettings, role: JobRole) -> dict[str, Any]:
    return {
        **_THE_JOB,
        "RoleArn": role.role_arn,
        "InputConfig.$": path(c.TARGET, c.INPUT_CONFIG),
        "OutputConfig.$": path(c.TARGET, c.OUTPUT_CONFIG),
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_runtime_seconds},
        "Tags": job_tags("compilation"),
    }


def _with(scope: Construct, field: str, then: sfn.IChainable) -> sfn.Choice:
    """Goes on with a field in the job's description that is there for some jobs only: as "" for the others."""
    there = path(c.JOB, field)
    without = sfn.Pass(scope, f"Without{field}", result=sfn.Result.from_string(""), result_path=there)
    without.next(then)
    return sfn.Choice(scope, f"With{field}").when(sfn.Condition.is_present(there), then).otherwise(without)
