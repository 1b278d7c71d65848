"""What the project's devices say about themselves: their core device, their status, their summaries."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from console.clients import Clients
from console.project import Project
from reefloop.contracts import device_key


@dataclass(frozen=True)
class Device:
    """One core device. `health` is Greengrass's word; the model and its self-test are the device's ("" at first)."""

    thing: str
    health: str
    model_version: str = ""
    self_test: str = ""
    reason: str = ""
    frames: int = 0

    @property
    def serves(self) -> bool:
        return self.self_test == "passed"


@dataclass
class DeviceReader:
    """Reads the devices again and again; a summary never changes, so each is fetched once."""

    clients: Clients
    project: Project
    _summaries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _base_group_arn: str = ""

    def read(self) -> list[Device]:
        """Every core device of the project's base group, sorted by name."""
        return [self._device(core) for core in sorted(self._cores(), key=lambda core: core["coreDeviceThingName"])]

    def summaries(self, thing: str) -> Sequence[Mapping[str, Any]]:
        """Every summary that a device sent, oldest first."""
        return [self._summary(key) for key in sorted(self._keys(device_key(thing, "summaries/")))]

    def _cores(self) -> Iterator[Mapping[str, Any]]:
        group = self.project.optional("deployment", "BaseGroup").rsplit("/", 1)[-1]
        if not group:
            return
        if not self._base_group_arn:
            answer = self.clients("iot").describe_thing_group(thingGroupName=group)
            self._base_group_arn = answer["thingGroupArn"]
        pages = self.clients("greengrassv2").get_paginator("list_core_devices")
        for page in pages.paginate(thingGroupArn=self._base_group_arn):
            yield from page["coreDevices"]

    def _device(self, core: Mapping[str, Any]) -> Device:
        thing = core["coreDeviceThingName"]
        report = self._report(thing)
        return Device(
            thing=thing,
            health=core["status"],
            model_version=report.get("model_version", ""),
            self_test=report.get("self_test", ""),
            reason=report.get("reason", ""),
            frames=sum(summary["frames"] for summary in self.summaries(thing)),
        )

    def _report(self, thing: str) -> Mapping[str, Any]:
        try:
            return self._json(device_key(thing, "status.json"))
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return {}

    def _summary(self, key: str) -> Mapping[str, Any]:
        if key not in self._summaries:
            self._summaries[key] = self._json(key)
        return self._summaries[key]

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self.clients("s3").get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.project.data_bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", []))

    def _json(self, key: str) -> Mapping[str, Any]:
        body = self.clients("s3").get_object(Bucket=self.project.data_bucket, Key=key)["Body"].read()
        document: Mapping[str, Any] = json.loads(body)
        return document
