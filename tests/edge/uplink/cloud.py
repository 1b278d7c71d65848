"""A cloud that keeps records as the ingest function does, and a nucleus without processes between it and a sender."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from classifier.messages import Ack, Batch, pack_ack, unpack
from classifier.spool import Message
from classifier.uplink.nucleus import NotSent, Subscription, Unavailable

THING = "reef-1"


def alert(number: int = 1, **changes: Any) -> Message:
    body = {"species": "crab", "probability": 0.9, "frames": number, "visit_seconds": 0.5, "model": "r1"}
    return Message("alert", body | changes)


def summary(frames: int = 1) -> Message:
    zero = dict.fromkeys(("unreadable", "dropped", "unknown", "review", "audit"), 0)
    return Message("summary", {"seconds": 300.0, "frames": frames, "model": "r1", "species": {}, **zero})


def health(reason: str = "") -> Message:
    model = {"version": "r1", "target": "", "runtime": "", "self_test": "passed", "reason": reason}
    zeros = dict.fromkeys(
        ("frames_per_second", "queue", "dropped", "unreadable", "disk_free_mib", "memory_mib", "clock_jumps"), 0
    )
    spool = {"records": 0, "frames": 0, "bytes": 0, "place": "disk", "reason": ""}
    sent = {"hour": 0, "day": 0, "hour_budget": 0, "day_budget": 0}
    return Message(
        "health",
        {
            **zeros,
            "model": model,
            "latency_ms": {"p50": 0, "p99": 0, "max": 0},
            "temperature_c": None,
            "spool": spool,
            "evicted": {},
            "sent": sent,
            "restarts": {},
            "configuration": "",
            "uptime_seconds": 1,
        },
    )


@dataclass
class Cloud:
    """Keeps each record once; answers with the highest number up to which it has all that can come."""

    records: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = field(default_factory=dict)
    bases: dict[tuple[str, str], int] = field(default_factory=dict)
    repeated: int = 0

    def take(self, payload: bytes) -> bytes:
        """Store a batch; the acknowledgement."""
        batch = unpack(payload)
        stream = (batch.boot, batch.kind)
        kept = self.records.setdefault(stream, {})
        for record in batch.records:
            self.repeated += record.seq in kept
            kept[record.seq] = record.body
        through = self.bases[stream] = max(self.bases.get(stream, 1), batch.base)
        while through in kept:
            through += 1
        return pack_ack(Ack(batch.boot, batch.kind, through - 1))

    def numbers(self, kind: str, boot: str = "") -> list[int]:
        """What it has of a kind, in the order in which it came."""
        return [seq for stream, kept in self.records.items() if stream[1] == kind and boot in stream[0] for seq in kept]


class FakeNucleus:
    """Nucleus lite over a link: up, or refusing; `deaf` takes messages that then get lost; `mute` loses the answers."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.up, self.deaf, self.mute, self.certain = True, False, False, True
        self.held: list[bytes] | None = None
        """Acknowledgements that are under way, once this is a list."""
        self.refuses: Callable[[Batch], bool] = lambda _: False
        self.offered = 0
        self.published: list[tuple[str, bytes]] = []
        self.subscriptions: list[Subscription] = []
        self._callbacks: list[Callable[[str, bytes], None]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.offered += 1
        if not self.up:
            raise NotSent("ServiceError", certain=self.certain)
        self.published.append((topic, payload))
        if self.deaf or self.refuses(unpack(payload)):
            return
        ack = self.cloud.take(payload)
        if self.held is not None:
            self.held.append(ack)
        elif not self.mute:
            self.say(ack)

    def say(self, payload: bytes) -> None:
        """Let an acknowledgement arrive."""
        for subscription, callback in zip(self.subscriptions, self._callbacks, strict=True):
            if subscription.alive:
                callback(f"reefloop/{THING}/ack", payload)

    def subscribe(self, topic: str, callback: Callable[[str, bytes], None]) -> Subscription:
        assert topic == f"reefloop/{THING}/ack"
        if not self.up:
            raise Unavailable("ServiceError")
        self.subscriptions.append(Subscription())
        self._callbacks.append(callback)
        return self.subscriptions[-1]

    @property
    def batches(self) -> list[Batch]:
        return [unpack(payload) for _, payload in self.published]

    @property
    def kinds(self) -> list[str]:
        return [batch.kind for batch in self.batches]
