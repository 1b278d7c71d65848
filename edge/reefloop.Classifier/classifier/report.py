"""What the device says of itself: which model it serves, and what it saw."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from classifier.models.keeper import Outcome
from classifier.uplink import Sent


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(thing: str, outcome: Outcome, *, now: datetime) -> dict[str, Any]:
    """The body of devices/<thing>/status.json."""
    model = outcome.model
    reason = outcome.reason or (model.notes if model else "")
    return {
        "thing": thing,
        "model_version": outcome.version,
        "target": model.package.target if model else "",
        "runtime": model.runtime if model else "",
        "self_test": "passed" if model else "failed",
        **({"reason": reason} if reason else {}),
        "reported_at": timestamp(now),
    }


@dataclass
class Window:
    """What happened since `since`; a summary tells it and the next window begins."""

    since: datetime
    counts: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    sent: Sent = field(default_factory=Sent)

    @property
    def empty(self) -> bool:
        """Nothing that is worth a byte on a thin link."""
        return not self.counts and not self.unreadable

    def saw(self, label: str, latency_ms: float) -> None:
        """One frame was classified."""
        self.counts[label] += 1
        self.latencies_ms.append(latency_ms)

    def summary(self, thing: str, model_version: str, *, until: datetime) -> dict[str, Any]:
        """The body of one summary."""
        seconds = max((until - self.since).total_seconds(), 0.001)  # the clock may have been set back
        frames = self.counts.total()
        return {
            "thing": thing,
            "model_version": model_version,
            "from": timestamp(self.since),
            "to": timestamp(until),
            "frames": frames,
            "unreadable": self.unreadable,
            "counts": dict(sorted(self.counts.items())),
            "sent_frames": self.sent.frames,
            "bytes_sent": self.sent.bytes,
            "latency_ms": {"p50": self._percentile(50), "p99": self._percentile(99)},
            "frames_per_second": round(frames / seconds, 3),
        }

    def _percentile(self, percent: int) -> float:
        """Nearest rank; 0 without frames."""
        ordered = sorted(self.latencies_ms)
        rank = max(1, -(-len(ordered) * percent // 100))
        return round(ordered[rank - 1], 3) if ordered else 0.0


def encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
