"""The cloud as the component sees it: a nucleus that takes every message, a function that acknowledges it, a bucket."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from classifier.messages import Ack, Record, pack_ack, unpack

THING = "bench"


class Subscription:
    alive = True

    def close(self) -> None:
        """Nothing more comes."""


@dataclass
class Cloud:
    """Stands where the nucleus and S3 stand, takes and acknowledges everything at once, and keeps it."""

    configured: Mapping[str, Any] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    """By kind, as they came."""
    frames: list[Mapping[str, str]] = field(default_factory=list)
    """The metadata of every frame."""
    message_bytes: int = 0
    frame_bytes: int = 0
    lost: threading.Event = field(default_factory=threading.Event)
    _acknowledge: Callable[[str, bytes], None] = lambda *_: None

    def publish(self, topic: str, payload: bytes) -> None:
        self.message_bytes += len(topic) + len(payload)
        batch = unpack(payload)
        self.records.setdefault(batch.kind, []).extend(batch.records)
        self._acknowledge(f"reefloop/{THING}/ack", pack_ack(Ack(batch.boot, batch.kind, batch.records[-1].seq)))

    def publish_locally(self, topic: str, message: Any) -> None:
        """Nobody else is on this device."""

    def subscribe(self, topic_filter: str, callback: Callable[[str, bytes], None]) -> Subscription:  # noqa: ARG002
        self._acknowledge = callback
        return Subscription()

    def configuration(self) -> dict[str, Any]:
        return dict(self.configured)

    def on_configuration(self, callback: Callable[[], None]) -> Subscription:  # noqa: ARG002
        return Subscription()

    def connect(self) -> bool:
        return True

    def close(self) -> None:
        """There is no connection."""

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
        self.frame_bytes += len(key) + len(content)
        self.frames.append(metadata)
