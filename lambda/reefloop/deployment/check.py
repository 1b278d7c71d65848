"""CheckCanary: whether the devices of a group took the model well."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from reefloop import clients, environment
from reefloop.deployment import deployments, health, records
from reefloop.deployment.health import Device
from reefloop.deployment.records import Stored
from reefloop.payloads import Health


@dataclass(frozen=True)
class Environment:
    records_table: str


class Event(TypedDict):
    model_version: str
    group_arn: str
    deployment_id: str
    deadline: str


def handler(event: Event, _context: object) -> Health:
    """Ask Greengrass and the table of records about every thing of the group, while it has this deployment."""
    env = environment.read(Environment)
    if (present := deployments.present_id(event["group_arn"])) != event["deployment_id"]:
        # Its devices would call the deployment CANCELED, through no fault of the model.
        return Health(state="replaced", reasons=[f"the deployment was replaced by {present or 'none'}"])
    return health.judge(
        (_device(env.records_table, thing, event["deployment_id"]) for thing in _things(event["group_arn"])),
        model_version=event["model_version"],
        deadline=datetime.fromisoformat(event["deadline"]),
        now=datetime.now(UTC),
    )


def _things(group_arn: str) -> Iterator[str]:
    """The members of a thing group, from the group itself.

    Greengrass would list only those on which a deployment to the group has succeeded: the first time, nobody.
    https://docs.aws.amazon.com/greengrass/v2/APIReference/API_ListCoreDevices.html
    """
    pages = clients.iot().get_paginator("list_things_in_thing_group")
    for page in pages.paginate(thingGroupName=group_arn.rpartition("/")[2]):
        yield from page["things"]


def _effective(thing: str, deployment_id: str) -> dict[str, Any] | None:
    """One device's part of a deployment; None when it has not heard of it, or is no core device yet."""
    pages = clients.greengrass().get_paginator("list_effective_deployments").paginate(coreDeviceThingName=thing)
    try:
        deployments = [deployment for page in pages for deployment in page["effectiveDeployments"]]
    except clients.greengrass().exceptions.ResourceNotFoundException:
        return None
    return next((found for found in deployments if found["deploymentId"] == deployment_id), None)


def _status(table: str, thing: str) -> Stored | None:
    """A device's newest health record."""
    found = clients.dynamodb().get_item(TableName=table, Key=records.key(thing, records.STATUS), ConsistentRead=True)
    return records.read(found["Item"]) if "Item" in found else None


def _device(table: str, thing: str, deployment_id: str) -> Device:
    effective, status = _effective(thing, deployment_id), _status(table, thing)
    return Device(
        thing=thing,
        status=effective["coreDeviceExecutionStatus"] if effective else "",
        status_reason=effective.get("reason", "") if effective else "",
        report=status.body["model"] if status else None,
        # By the cloud's clock: the device's own may be wrong by years.
        report_is_older=bool(
            status and effective and status.received_at < effective["creationTimestamp"].timestamp() * 1000
        ),
    )
