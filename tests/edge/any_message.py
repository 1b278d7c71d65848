"""Bodies of messages as the component writes them, and the entries that hold them."""

import json
import random
import zlib
from typing import Any

from classifier import messages
from classifier.messages import Batch, Record
from classifier.spool import Message, Upload

BOOT = "1800000000000-0a1b2c3d"
_SPECIES = ("clownfish", "sea turtle", "octopus", "dolphin", "whale", "crab", "lobster", "shark")


def any_alert(seed: int = 0, **changes: Any) -> dict[str, Any]:
    draw = random.Random(seed)
    body = {
        "species": draw.choice(_SPECIES),
        "probability": round(draw.uniform(0.8, 1.0), 3),
        "frames": 2,
        "visit_seconds": round(draw.uniform(0, 4), 1),
        "model": "r12-1c9e02ab",
    }
    return body | changes


def any_summary(seed: int = 0, *, species: int = 3, **changes: Any) -> dict[str, Any]:
    draw = random.Random(seed)
    names = draw.sample(_SPECIES, species) if species <= len(_SPECIES) else [f"species-{n}" for n in range(species)]
    body = {
        "seconds": 300.0,
        "frames": 600,
        "unreadable": 0,
        "dropped": draw.randrange(3),
        "model": "r12-1c9e02ab",
        "species": {
            name: {
                "visits": draw.randrange(1, 9),
                "frames": draw.randrange(1, 300),
                "seconds": round(draw.uniform(0, 200), 1),
                "best": round(draw.uniform(0.5, 1), 3),
            }
            for name in names
        },
        "unknown": draw.randrange(5),
        "review": draw.randrange(3),
        "audit": 1,
    }
    return body | changes


def any_health(**changes: Any) -> dict[str, Any]:
    body = {
        "model": {
            "version": "r12-1c9e02ab",
            "target": "linux-arm64",
            "runtime": "onnxruntime",
            "self_test": "passed",
            "reason": "",
        },
        "frames_per_second": 1.98,
        "latency_ms": {"p50": 41.2, "p99": 55.1, "max": 80.0},
        "temperature_c": 51.2,
        "queue": 0,
        "spool": {"records": 3, "frames": 2, "bytes": 372_736, "place": "disk", "reason": ""},
        "dropped": 0,
        "unreadable": 0,
        "evicted": {"alert": 0, "health": 0, "summary": 0, "frame": 0},
        "sent": {"hour": 12_011, "day": 90_112, "hour_budget": 1_000_000, "day_budget": 10_000_000},
        "disk_free_mib": 10_411,
        "memory_mib": 240,
        "restarts": {},
        "clock_jumps": 0,
        "configuration": "",
        "uptime_seconds": 90_012,
    }
    return body | changes


_BODIES = {"alert": any_alert, "health": lambda _: any_health(), "summary": any_summary}


def any_body(kind: str, seed: int = 0) -> dict[str, Any]:
    return _BODIES[kind](seed)


def any_records(kind: str, count: int, *, first: int = 1) -> list[Record]:
    return [Record(seq, 1_800_000_000_000 + seq * 300_123, any_body(kind, seq)) for seq in range(first, first + count)]


def alerts(count: int, *, first: int = 0) -> list[Message]:
    """Told apart by the number of their frames."""
    return [Message("alert", any_alert(frames=first + n)) for n in range(count)]


def message(kind: str, seed: int = 0) -> Message:
    return Message(kind, any_body(kind, seed))


def upload(key: str, *, size: int = 1000, value: float = 0.5) -> Upload:
    return Upload(key, random.Random(key).randbytes(size), {"reason": "uncertain", "label": "crab"}, value)


def any_batch(kind: str = "alert", count: int = 3, **changes: Any) -> Batch:
    given = {"thing": "reef-1", "boot": BOOT, "kind": kind, "base": 1, "records": tuple(any_records(kind, count))}
    return Batch(**(given | changes))


def wire(document: object, *, version: int = messages.VERSION) -> bytes:
    """A payload with any document in it."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=messages._DICTIONARY)
    return bytes([version]) + deflate.compress(json.dumps(document).encode()) + deflate.flush()
