"""Takes devices and what was deployed to them out of the account, as far as they are in the project's groups."""

from collections.abc import Iterator
from typing import Any, Final

from console import provisioning
from console.clients import Clients
from console.project import Project
from reefloop.contracts import MODEL_COMPONENT

_ACTIVE: Final = "ACTIVE"
# CloudFormation owns the deployment to the base group; the loop makes those to the other two.
_RUNTIME_GROUPS: Final = ("CanaryGroup", "FleetGroup")


def remove_deployments(clients: Clients, project: Project) -> Iterator[str]:
    """Cancel and delete the model's deployments: a thing group with a deployment keeps taking new devices.

    Only a cancelled deployment can be deleted:
    https://docs.aws.amazon.com/greengrass/v2/APIReference/API_DeleteDeployment.html
    """
    greengrass = clients("greengrassv2")
    for arn in _group_arns(clients, project, _RUNTIME_GROUPS):
        pages = greengrass.get_paginator("list_deployments").paginate(targetArn=arn, historyFilter="ALL")
        for deployment in [deployment for page in pages for deployment in page["deployments"]]:
            name = deployment["deploymentId"]
            if deployment["deploymentStatus"] == _ACTIVE:
                greengrass.cancel_deployment(deploymentId=name)
            greengrass.delete_deployment(deploymentId=name)
            yield f"deleted deployment {name}"


def remove_devices(clients: Clients, project: Project) -> Iterator[str]:
    """Delete core devices, their things, policies and certificates. A thing that is also in a group of somebody else
    only leaves the project's groups."""
    for thing in sorted({thing for group in _group_names(project) for thing in _things(clients("iot"), group)}):
        yield from provisioning.remove(clients, project, thing)


def remove_model_component(clients: Clients, _: Project) -> Iterator[str]:
    """Delete every version of the model component; the classifier's versions are CloudFormation's."""
    greengrass = clients("greengrassv2")
    components = [
        component
        for page in greengrass.get_paginator("list_components").paginate(scope="PRIVATE")
        for component in page["components"]
        if component["componentName"] == MODEL_COMPONENT
    ]
    for component in components:
        pages = greengrass.get_paginator("list_component_versions").paginate(arn=component["arn"])
        for version in [version for page in pages for version in page["componentVersions"]]:
            greengrass.delete_component(arn=version["arn"])
            yield f"deleted component {MODEL_COMPONENT} {version['componentVersion']}"


def _group_names(project: Project) -> list[str]:
    return [value.rsplit("/", 1)[-1] for value in project.thing_groups.values()]


def _group_arns(clients: Clients, project: Project, outputs: tuple[str, ...]) -> Iterator[str]:
    for output in outputs:
        if value := project.thing_groups.get(output):
            name = value.rsplit("/", 1)[-1]
            yield clients("iot").describe_thing_group(thingGroupName=name)["thingGroupArn"]


def _things(iot: Any, group: str) -> list[str]:
    pages = iot.get_paginator("list_things_in_thing_group").paginate(thingGroupName=group)
    return [thing for page in pages for thing in page["things"]]
