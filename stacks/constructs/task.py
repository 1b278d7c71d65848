from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.paths import path

# A call that the service was too busy for is made again, with a pause that grows and scatters. Step Functions names a
# service's unmodelled errors, throttling among them, after the service; a job that failed is States.TaskFailed and is
# not run again. https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
_BUSY: Final = {
    "sagemaker": ["SageMaker.AmazonSageMakerException", "SageMaker.SageMakerException"],
    "greengrassv2": ["GreengrassV2.ThrottlingException", "GreengrassV2.InternalServerException"],
}


def task(
    scope: Construct,
    construct_id: str,
    *,
    integration: str,
    request: Mapping[str, Any],
    result: str | None,
    selector: Mapping[str, str] | None = None,
    timeout_seconds: int | None = None,
    retry: Sequence[Mapping[str, Any]] = (),
) -> sfn.CustomState:
    """A state that calls a service, such as "sagemaker:createTrainingJob.sync" or "aws-sdk:greengrassv2:getComponent".

    Keys of `request` and `selector` that end in ".$" hold paths or intrinsic functions. What `selector` picks of the
    answer (without it, the whole answer) lands at the key `result`, with JsonPath.DISCARD nowhere, or without one
    replaces the state's input. `retry` has the retriers for errors of its own, besides the one for a busy service.
    """
    service = integration.removeprefix("aws-sdk:").split(":")[0]
    state: dict[str, Any] = {
        "Type": "Task",
        "Resource": f"arn:{Stack.of(scope).partition}:states:::{integration}",
        "Parameters": dict(request),
        "ResultPath": result if result == sfn.JsonPath.DISCARD else path(*filter(None, [result])),
        "Retry": [
            *retry,
            {
                "ErrorEquals": _BUSY[service],
                "IntervalSeconds": 2,
                "MaxAttempts": 4,
                "BackoffRate": 2,
                "JitterStrategy": "FULL",
            },
        ],
    }
    if timeout_seconds:
        state["TimeoutSeconds"] = timeout_seconds
    if selector:
        state["ResultSelector"] = dict(selector)
    return sfn.CustomState(scope, construct_id, state_json=state)
