"""What the devices of the project saw and sent, as tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from rich.table import Table

from console.devices import Device, DeviceReader
from console.tables import PlainTable, share
from reefloop.deployment.records import Stored

_ALERTS: Final = 20


@dataclass(frozen=True)
class Seen:
    """What was seen of one species. `best` is the highest probability of all frames."""

    visits: int = 0
    frames: int = 0
    best: float = 0.0
    things: frozenset[str] = frozenset()

    def add(self, thing: str, body: Mapping[str, Any]) -> "Seen":
        return Seen(
            self.visits + body["visits"],
            self.frames + body["frames"],
            max(self.best, body["best"]),
            self.things | {thing},
        )


@dataclass(frozen=True)
class Report:
    """The records of some days, device by device."""

    days: float
    devices: Sequence[Device]
    summaries: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    alerts: Mapping[str, Sequence[Stored]] = field(default_factory=dict)

    @classmethod
    def read(cls, reader: DeviceReader, *, days: float) -> "Report":
        devices = reader.read()
        return cls(
            days=days,
            devices=devices,
            summaries={one.thing: reader.summaries(one.thing, days=days) for one in devices},
            alerts={one.thing: reader.records(one.thing, "alert", days=days) for one in devices},
        )

    def tables(self) -> Iterator[Table]:
        yield self._devices()
        yield self._species()
        yield self._alerts()

    def species(self) -> dict[str, Seen]:
        """What was seen of each species, the most frequent first."""
        found: dict[str, Seen] = {}
        for thing, bodies in self.summaries.items():
            for body in bodies:
                for name, seen in body["species"].items():
                    found[name] = found.get(name, Seen()).add(thing, seen)
        return dict(sorted(found.items(), key=lambda item: (-item[1].visits, item[0])))

    def _devices(self) -> Table:
        table = PlainTable(
            "device", "status", "model", f"frames in {self.days:g} days", "alerts", "sent in a day", "of", "waits", ""
        )
        for one in self.devices:
            frames = sum(body["frames"] for body in self.summaries.get(one.thing, ()))
            sent = one.status.get("sent", {})
            table.add(
                one.thing,
                one.health,
                one.model_version or "none yet",
                frames,
                len(self.alerts.get(one.thing, ())),
                megabytes(sent.get("day")),
                megabytes(sent.get("day_budget")),
                waiting(one.status),
                "; ".join(troubles(one)),
            )
        return table

    def _species(self) -> Table:
        table = PlainTable("species", "visits", "frames", "surest", "devices")
        for name, seen in self.species().items():
            table.add(name, seen.visits, seen.frames, share(seen.best), len(seen.things))
        return table

    def _alerts(self) -> Table:
        table = PlainTable("alert at (device's clock, UTC)", "device", "species", "probability")
        found = sorted(_flat(self.alerts), key=lambda pair: pair[1].at, reverse=True)
        for thing, record in found[:_ALERTS]:
            table.add(moment(record.at), thing, record.body["species"], share(record.body["probability"]))
        if len(found) > _ALERTS:
            table.caption, table.caption_justify = f"and {len(found) - _ALERTS} before", "left"
        return table


def troubles(device: Device) -> Iterator[str]:
    """What somebody should look into, by a device's own word."""
    status = device.status
    if device.self_test == "failed":
        yield f"refused model {device.model_version}: {device.reason}"
    if reason := status.get("configuration"):
        yield f"refused its configuration: {reason}"
    if (spool := status.get("spool", {})).get("place") == "memory":
        yield f"its spool is in memory: {spool['reason']}"
    if evicted := sum(status.get("evicted", {}).values()):
        yield f"{evicted} given up unsent, for want of space or budget"
    for way, reason in sorted(status.get("uplink", {}).items()):
        yield f"{way}: {reason}"
    for stage, count in sorted(status.get("restarts", {}).items()):
        yield f"{stage} restarted {count} times"


def waiting(status: Mapping[str, Any]) -> str:
    """What a device has not sent yet, or not heard that it came."""
    spool = status.get("spool", {})
    parts = (f"{spool[name]} {name}" for name in ("records", "frames") if spool.get(name))
    return ", ".join(parts)


def megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.2f} MB"


def moment(at: int) -> str:
    """Milliseconds since 1970 as a person reads them."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _flat(alerts: Mapping[str, Iterable[Stored]]) -> Iterator[tuple[str, Stored]]:
    return ((thing, record) for thing, records in alerts.items() for record in records)
