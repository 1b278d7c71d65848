"""Why a training job did not complete, and whether other instances may do better."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from reefloop.payloads import Attempt, TrainingJobEnd

# Step Functions names an error that SageMaker's API declares "SageMaker.<error>Exception":
# https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
_QUOTA_ERRORS: Final = ("SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded")
# The account-level service limit 'ml.g5.xlarge for spot training job usage' is 0 Instances, with current utilization
# of 0 Instances and a request delta of 1 Instances. https://github.com/aws/sagemaker-python-sdk/issues/35
_QUOTA: Final = re.compile(r"limit '(?P<name>[^']+)' is (?P<limit>\d+)\D+current utilization of (?P<used>\d+)")
# What SageMaker says of a job that it had no instances for: https://github.com/DIAGNijmegen/rse-grand-challenge/issues/2631
# and of one that it lost: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
_PASSING: Final = (
    "CapacityError",
    "Unable to provision requested ML compute capacity",
    "InsufficientInstanceCapacity",
    "InternalServerError",
)
# What the container says may hold any words: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-signal-success-failure.html
_OF_THE_CONTAINER: Final = "AlgorithmError"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html (SecondaryStatus)
_STOPPED: Final = {
    "MaxWaitTimeExceeded": "no spot capacity for long enough within training.max_wait_seconds",
    "MaxRuntimeExceeded": (
        "the training ran longer than training.max_runtime_seconds: redrive this execution, which goes on from the "
        "last checkpoint, and raise the setting for the next"
    ),
    "Stopped": "somebody stopped the training job: redrive this execution, which goes on from the last checkpoint",
}


@dataclass(frozen=True)
class Failure:
    """The reason, in a sentence; `elsewhere` says whether another instance type or market may do better."""

    reason: str
    elsewhere: bool


def read(end: TrainingJobEnd, *, attempt: Attempt, count: int) -> Failure:
    """What an error of the training's state, or a job that was stopped, is about.

    Args:
        end: the caught error, whose cause is the job's description where there was a job, or the stopped job itself.
        count: how many instances were asked for.
    """
    error, cause = end.get("Error", ""), end.get("Cause", "")
    if error in _QUOTA_ERRORS:
        return Failure(_quota(cause, attempt, count), elsewhere=True)
    if error.startswith("SageMaker.") and attempt["instance_type"] in cause:
        # No job was made, because of its type: https://github.com/aws/amazon-sagemaker-examples/issues/3494
        return Failure(cause, elsewhere=True)
    job: Any = _description(cause) or end
    secondary, reason = job.get("SecondaryStatus"), job.get("FailureReason") or f"{error}: {cause}"
    if secondary in _STOPPED:
        return Failure(_STOPPED[secondary], elsewhere=secondary == "MaxWaitTimeExceeded")
    if error == "States.Timeout":
        return Failure("the training job outlived its own time limits: look at it in SageMaker", elsewhere=False)
    passing = not reason.startswith(_OF_THE_CONTAINER) and any(word in reason for word in _PASSING)
    return Failure(reason, elsewhere=passing)


def _quota(cause: str, attempt: Attempt, count: int) -> str:
    market = "spot training" if attempt["spot"] else "training"
    found = _QUOTA.search(cause)
    if not found:
        # A type that the region does not have is refused like this too, and no quota helps:
        # https://github.com/aws/amazon-sagemaker-examples/issues/1001
        name = f"{attempt['instance_type']} for {market} job usage"
        return f"{cause}: if this region has the type, ask Service Quotas for {count} '{name}'"
    used = int(found["used"])
    in_use = f" with {used} in use" if used else ""
    return f"the quota is {found['limit']}{in_use}: ask Service Quotas for {used + count} '{found['name']}'"


def _description(cause: str) -> dict[str, Any]:
    """DescribeTrainingJob's answer, which is the cause of a job that failed; empty for any other cause."""
    try:
        job = json.loads(cause)
    except ValueError:
        return {}
    return job if isinstance(job, dict) else {}
