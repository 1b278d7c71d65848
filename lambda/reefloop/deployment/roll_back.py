"""RollBack: give a thing group the version of the model that it had before."""

from typing import TypedDict

from reefloop.deployment import deployments
from reefloop.payloads import Rollout


class Event(TypedDict):
    """`previous_version` is "" when the group had no model: then the model component is taken off its devices."""

    group_arn: str
    previous_version: str


def handler(event: Event, _context: object) -> Rollout:
    """Deploy the previous version to all devices of the group at once; nothing waits for them."""
    return deployments.create(event["group_arn"], event["previous_version"], pace=None, patience_seconds=0)
