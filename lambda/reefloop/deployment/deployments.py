"""The deployments of a thing group: the present one, and the next."""

from datetime import UTC, datetime, timedelta
from typing import Any

from reefloop import clients
from reefloop.deployment import rollout
from reefloop.deployment.rollout import Pace
from reefloop.payloads import Rollout


def present(group_arn: str) -> dict[str, Any]:
    """The group's latest deployment as GetDeployment describes it, or {} when it never had one."""
    client = clients.greengrass()
    latest = client.list_deployments(targetArn=group_arn, historyFilter="LATEST_ONLY")["deployments"]
    if not latest:
        return {}
    found: dict[str, Any] = client.get_deployment(deploymentId=latest[0]["deploymentId"])
    return found


def create(group_arn: str, version: str, *, pace: Pace | None, patience_seconds: int) -> Rollout:
    """Give a group one version of the model ("" for none), unless its present deployment does so already."""
    now = present(group_arn)
    if rollout.serves(now, version):
        deployment_id = now["deploymentId"]
    else:
        arguments = rollout.request(group_arn=group_arn, version=version, present=now, pace=pace)
        deployment_id = clients.greengrass().create_deployment(**arguments)["deploymentId"]
    deadline = datetime.now(UTC) + timedelta(seconds=patience_seconds)
    return Rollout(
        deployment_id=deployment_id,
        previous_version=rollout.previous_version(now, version),
        deadline=deadline.isoformat(timespec="seconds"),
    )
