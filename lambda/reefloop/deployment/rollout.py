"""How a version of the model reaches one thing group, as CreateDeployment takes it.

https://docs.aws.amazon.com/greengrass/v2/APIReference/API_CreateDeployment.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from reefloop import contracts

_STOPPED: Final = frozenset({"CANCELED", "FAILED"})


@dataclass(frozen=True)
class Pace:
    """How fast a deployment may spread, and the share of failed devices that stops it."""

    devices_per_minute: int
    abort_failed_percent: float


def model_version(present: Mapping[str, Any]) -> str:
    """The version of the model component in a deployment (GetDeployment's answer), or ""."""
    component = present.get("components", {}).get(contracts.MODEL_COMPONENT, {})
    return str(component.get("componentVersion", ""))


def stopped(deployment: Mapping[str, Any]) -> bool:
    """Whether somebody, or too many failures, ended a deployment before it came to its end."""
    return deployment["deploymentStatus"] in _STOPPED


def serves(present: Mapping[str, Any], version: str) -> bool:
    """Whether a group's present deployment gives it exactly this version already."""
    return bool(present) and model_version(present) == version and not stopped(present)


def request(*, group_arn: str, version: str, present: Mapping[str, Any], pace: Pace | None) -> dict[str, Any]:
    """CreateDeployment's arguments for one version of the model in one group.

    Args:
        group_arn: the thing group.
        version: of the model component; "" takes the component off the devices.
        present: the group's present deployment, whose other components stay as they are; {} for none.
        pace: None deploys to all devices at once and never stops by itself, as a way back must.
    """
    components = {
        name: part for name, part in present.get("components", {}).items() if name != contracts.MODEL_COMPONENT
    }
    if version:
        components[contracts.MODEL_COMPONENT] = {"componentVersion": version}
    arguments: dict[str, Any] = {
        "targetArn": group_arn,
        "deploymentName": f"{contracts.PROJECT} model {version or 'removed'}",
        "components": components,
        "deploymentPolicies": {"failureHandlingPolicy": "ROLLBACK"},
    }
    if pace:
        arguments["iotJobConfiguration"] = _job(pace)
    return arguments


def _job(pace: Pace) -> dict[str, Any]:
    stop = {
        "failureType": "ALL",
        "action": "CANCEL",
        "thresholdPercentage": pace.abort_failed_percent,
        # The smallest number of devices of which one is no more than the threshold: sooner, chance would decide.
        "minNumberOfExecutedThings": ceil(100 / pace.abort_failed_percent),
    }
    return {
        "jobExecutionsRolloutConfig": {"maximumPerMinute": pace.devices_per_minute},
        "abortConfig": {"criteriaList": [stop]},
    }
