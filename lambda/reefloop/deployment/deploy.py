"""DeployCanary, DeployFleet: give one thing group a version of the model."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from reefloop import environment
from reefloop.deployment import deployments
from reefloop.deployment.rollout import Pace
from reefloop.payloads import Rollout


@dataclass(frozen=True)
class Environment:
    canary_timeout_seconds: int
    devices_per_minute: int
    abort_failed_percent: float


class Event(TypedDict):
    component_version: str
    group_arn: str


def handler(event: Event, _context: object) -> Rollout:
    """Deploy the version, keeping the group's other components; run again, it finds the deployment made already."""
    env = environment.read(Environment)
    deployment_id = deployments.create(
        event["group_arn"],
        event["component_version"],
        pace=Pace(env.devices_per_minute, env.abort_failed_percent),
    )
    deadline = datetime.now(UTC) + timedelta(seconds=env.canary_timeout_seconds)
    return Rollout(deployment_id=deployment_id, deadline=deadline.isoformat(timespec="seconds"))
