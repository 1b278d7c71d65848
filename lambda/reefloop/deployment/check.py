"""CheckCanary: whether the devices of a group took the model well."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from reefloop import clients, contracts, environment, storage
from reefloop.contracts import Health
from reefloop.deployment import health
from reefloop.deployment.health import Device


@dataclass(frozen=True)
class Environment:
    data_bucket: str


class Event(TypedDict):
    model_version: str
    group_arn: str
    deployment_id: str
    deadline: str


def handler(event: Event, _context: object) -> Health:
    """Ask Greengrass and devices/<thing>/status.json about every core device of the group."""
    env = environment.read(Environment)
    return health.judge(
        (_device(env.data_bucket, thing, event["deployment_id"]) for thing in _things(event["group_arn"])),
        model_version=event["model_version"],
        deadline=datetime.fromisoformat(event["deadline"]),
        now=datetime.now(UTC),
    )


def _things(group_arn: str) -> Iterator[str]:
    for page in clients.greengrass().get_paginator("list_core_devices").paginate(thingGroupArn=group_arn):
        yield from (device["coreDeviceThingName"] for device in page["coreDevices"])


def _device(bucket: str, thing: str, deployment_id: str) -> Device:
    pages = clients.greengrass().get_paginator("list_effective_deployments").paginate(coreDeviceThingName=thing)
    deployments = (deployment for page in pages for deployment in page["effectiveDeployments"])
    effective = next((found for found in deployments if found["deploymentId"] == deployment_id), None)
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
