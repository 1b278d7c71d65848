"""What the project's devices say about themselves: their core device, and the records that they sent."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from console.clients import Clients
from console.project import Project
from reefloop.contracts import ITEM, THING
from reefloop.deployment import records
from reefloop.deployment.records import Stored

DAY_SECONDS: Final = 86_400.0
NEVER_CONNECTED: Final = "never connected"
_PAGE: Final = 100


@dataclass(frozen=True)
class Device:
    """One thing of the base group. `health` is Greengrass's word, NEVER_CONNECTED where it has no core device of that
    name; the rest is the device's own ("" and 0 at first).

    `frames` and `alerts` are those of the last day. `status` is the body of its newest health record, {} before it.
    """

    thing: str
    health: str
    model_version: str = ""
    self_test: str = ""
    reason: str = ""
    frames: int = 0
    alerts: tuple[Stored, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def serves(self) -> bool:
        return self.self_test == "passed"


@dataclass
class DeviceReader:
    """Reads the devices and their records.

    `recount_seconds` is how old the numbers of a device's last day may be: a reader that is asked for a picture every
    few seconds need not read a whole day of records for each.
    """

    clients: Clients
    project: Project
    recount_seconds: float = 0.0
    _counted: dict[str, tuple[float, int, tuple[Stored, ...]]] = field(default_factory=dict, init=False)

    def read(self) -> list[Device]:
        """Every member of the project's base group, sorted by name, whatever Greengrass knows of it."""
        return [self._device(thing) for thing in sorted(self._things())]

    def summaries(self, thing: str, *, days: float = 1) -> Sequence[Mapping[str, Any]]:
        """The bodies of the summaries that a device sent in the last days, oldest first."""
        return [record.body for record in self.records(thing, "summary", days=days)]

    def status(self, thing: str) -> Stored | None:
        """A device's newest health record, if it ever sent one."""
        answer = self.clients("dynamodb").get_item(TableName=self._table, Key=records.key(thing, records.STATUS))
        return records.read(answer["Item"]) if "Item" in answer else None

    def records(self, thing: str, kind: str, *, days: float) -> list[Stored]:
        """The valid records of one kind that arrived in the last days: in each start of the component by number, the
        start that was heard last at the end.

        Read from the last by name back. What is older is left out start by start: these are sorted by the device's
        clock, and one that was ahead is no reason to stop.
        """
        since = (time.time() - days * DAY_SECONDS) * 1000
        found: list[Stored] = []
        below = f"{kind}#~"  # after every digit
        while below:
            answer = self.clients("dynamodb").query(
                TableName=self._table,
                KeyConditionExpression="#thing = :thing AND #item BETWEEN :first AND :below",
                ExpressionAttributeNames={"#thing": THING, "#item": ITEM},
                ExpressionAttributeValues={
                    ":thing": {"S": thing},
                    ":first": {"S": f"{kind}#"},
                    ":below": {"S": below},
                },
                ScanIndexForward=False,
                Limit=_PAGE,
            )
            page = [records.read(item) for item in answer["Items"]]
            found += [record for record in page if record.received_at >= since]
            below = _below(page[-1], since) if "LastEvaluatedKey" in answer else ""
        newest: dict[str, int] = {}
        for one in found:
            newest[one.boot] = max(one.received_at, newest.get(one.boot, 0))
        return sorted((one for one in found if not one.invalid), key=lambda one: (newest[one.boot], one.boot, one.seq))

    @property
    def _table(self) -> str:
        return self.project.output("deployment", "RecordsTable")

    def _things(self) -> Iterator[str]:
        """The members of the base group, from the group itself.

        Greengrass would list the core devices on which a deployment to the group has once succeeded, members or not:
        it hides those in trouble. https://docs.aws.amazon.com/greengrass/v2/APIReference/API_ListCoreDevices.html
        """
        group = self.project.optional("deployment", "BaseGroup").rsplit("/", 1)[-1]
        if not group:
            return
        pages = self.clients("iot").get_paginator("list_things_in_thing_group")
        for page in pages.paginate(thingGroupName=group):
            yield from page["things"]

    def _health(self, thing: str) -> str:
        client = self.clients("greengrassv2")
        try:
            return str(client.get_core_device(coreDeviceThingName=thing)["status"])
        except client.exceptions.ResourceNotFoundException:
            return NEVER_CONNECTED

    def _device(self, thing: str) -> Device:
        found = self.status(thing)
        status = found.body if found else {}
        model = status.get("model", {})
        frames, alerts = self._last_day(thing)
        return Device(
            thing=thing,
            health=self._health(thing),
            model_version=model.get("version", ""),
            self_test=model.get("self_test", ""),
            reason=model.get("reason", ""),
            frames=frames,
            alerts=alerts,
            status=status,
        )

    def _last_day(self, thing: str) -> tuple[int, tuple[Stored, ...]]:
        """The frames and the alerts of a device's last day, or what they were a short while ago."""
        now = time.monotonic()
        at, frames, alerts = self._counted.get(thing, (-math.inf, 0, ()))
        if now - at >= self.recount_seconds:
            frames = sum(summary["frames"] for summary in self.summaries(thing))
            alerts = tuple(self.records(thing, "alert", days=1))
            self._counted[thing] = now, frames, alerts
        return frames, alerts


def _below(last: Stored, since: float) -> str:
    """The name at which reading goes on after a record: where it is too old, so is what its start made before."""
    if last.received_at < since:
        return records.stream(last.kind, last.boot)
    return records.item(last.kind, last.boot, last.seq - 1)
