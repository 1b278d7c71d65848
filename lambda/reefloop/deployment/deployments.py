"""The deployments of a thing group: the present one, the next, and the model that stands."""

from typing import Any

from reefloop import clients
from reefloop.deployment import rollout
from reefloop.deployment.rollout import Pace


def present_id(group_arn: str) -> str:
    """The group's latest deployment, whoever made it, or "" when it never had one."""
    latest = clients.greengrass().list_deployments(targetArn=group_arn, historyFilter="LATEST_ONLY")["deployments"]
    return str(latest[0]["deploymentId"]) if latest else ""


def present(group_arn: str) -> dict[str, Any]:
    """The group's latest deployment as GetDeployment describes it, or {} when it never had one."""
    if not (deployment_id := present_id(group_arn)):
        return {}
    found: dict[str, Any] = clients.greengrass().get_deployment(deploymentId=deployment_id)
    return found


def standing_model(group_arn: str) -> str:
    """The version of the model that a group is to have, or "": that of its newest deployment that was not stopped.

    Where all of them were, the newest counts: nothing says that Greengrass never calls a deployment CANCELED because
    another replaced it, as it does with the IoT job below.
    https://docs.aws.amazon.com/greengrass/v2/developerguide/check-deployment-status.html
    """
    client = clients.greengrass()
    pages = client.get_paginator("list_deployments").paginate(targetArn=group_arn, historyFilter="ALL")
    found = [deployment for page in pages for deployment in page["deployments"]]
    made = sorted(found, key=lambda deployment: deployment["creationTimestamp"], reverse=True)
    if not made:
        return ""
    stands = next((deployment for deployment in made if not rollout.stopped(deployment)), made[0])
    return rollout.model_version(client.get_deployment(deploymentId=stands["deploymentId"]))


def create(group_arn: str, version: str, *, pace: Pace | None) -> str:
    """Give a group one version of the model ("" for none), unless its present deployment does so already.

    Returns:
        The id of the deployment.
    """
    now = present(group_arn)
    if rollout.serves(now, version):
        return str(now["deploymentId"])
    arguments = rollout.request(group_arn=group_arn, version=version, present=now, pace=pace)
    return str(clients.greengrass().create_deployment(**arguments)["deploymentId"])
