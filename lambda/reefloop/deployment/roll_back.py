"""RollBack: take a model that did not pass off the canaries, and out of the registry's approved ones."""

from dataclasses import dataclass
from typing import TypedDict

from reefloop import environment, registry
from reefloop.deployment import deployments, rollout
from reefloop.payloads import Health, RolledBack


@dataclass(frozen=True)
class Environment:
    model_package_group: str


class Event(TypedDict):
    """`group_arn` is the canary group, `fleet_arn` the fleet's."""

    model_version: str
    component_version: str
    group_arn: str
    fleet_arn: str
    health: Health


def handler(event: Event, _context: object) -> RolledBack:
    """Give the canaries the fleet's model, which was proven on canaries: all at once, and nothing waits for them.

    Where another deployment has given them another model meanwhile, they keep that. A model that a self-test refused
    is no champion any more, unless the fleet has it: then it is the device that changed.
    """
    env = environment.read(Environment)
    proven, unproven = deployments.standing_model(event["fleet_arn"]), event["component_version"]
    now = rollout.model_version(deployments.present(event["group_arn"]))
    replaced = now not in (unproven, proven)
    if not replaced:
        deployments.create(event["group_arn"], proven, pace=None)
    if event["health"]["state"] == "refused" and unproven != proven:
        reason = f"refused on canary devices: {'; '.join(event['health']['reasons'])}"
        registry.reject(env.model_package_group, event["model_version"], reason)
    return RolledBack(
        outcome=f"keep {_named(now)}, which replaced it" if replaced else f"go back to the fleet's: {_named(proven)}"
    )


def _named(version: str) -> str:
    return f"version {version}" if version else "no model"
