"""The ways to get instances for a training, in the order in which they are tried."""

from dataclasses import dataclass

from reefloop.payloads import Attempt


@dataclass(frozen=True)
class Instances:
    """What a function knows of settings.training; `max_wait_seconds` is 0 where nothing is to be tried on spot."""

    instance_types: tuple[str, ...]
    instance_count: int
    max_runtime_seconds: int
    max_wait_seconds: int


def attempts(instances: Instances) -> list[Attempt]:
    """Every type on spot, the cheapest way, and then every type on demand.

    Checkpoints belong to the model version and not to the job: each attempt goes on where the one before was stopped.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
    """
    condition = {"MaxRuntimeInSeconds": instances.max_runtime_seconds}
    ways = [(False, condition)]
    if instances.max_wait_seconds:
        ways.insert(0, (True, {**condition, "MaxWaitTimeInSeconds": instances.max_wait_seconds}))
    return [
        Attempt(instance_type=instance_type, spot=spot, stopping_condition=stopping_condition)
        for spot, stopping_condition in ways
        for instance_type in instances.instance_types
    ]
