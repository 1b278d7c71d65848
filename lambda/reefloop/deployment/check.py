"""CheckCanary: whether the devices of a group took the model well."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from reefloop import clients, contracts, environment, storage
from reefloop.deployment import health
from reefloop.deployment.health import Device
from reefloop.payloads import Health


@dataclass(frozen=True)
class Environment:
    data_bucket: str


class Event(TypedDict):
    model_version: str
    group_arn: str
    deployment_id: str
    deadline: str


def handler(event: Event, _context: object) -> Health:
    """Ask Greengrass and devices/<thing>/status.json about every thing of the group."""
    env = environment.read(Environment)
    return health.judge(
        (_device(env.data_bucket, thing, event["deployment_id"]) for thing in _things(event["group_arn"])),
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


def _device(bucket: str, thing: str, deployment_id: str) -> Device:
    effective = _effective(thing, deployment_id)
    key = contracts.device_key(thing, "status.json")
    stored = storage.find(bucket, key)
    return Device(
        thing=thing,
        status=effective["coreDeviceExecutionStatus"] if effective else "",
        status_reason=effective.get("reason", "") if effective else "",
        report=storage.read_json(bucket, key) if stored else None,
        # S3 knows whole seconds only.
        report_is_older=bool(
            stored and effective and stored.modified < effective["creationTimestamp"].replace(microsecond=0)
        ),
    )
