"""Values that a test needs and does not care about. Each call gives another one."""

import gzip
import io
import json
import random
import tarfile
from itertools import count
from typing import Any, cast

from reefloop.compilation.targets import TARGETS
from reefloop.payloads import Outcome, Package

_numbers = count(1)


def any_round() -> str:
    return f"round-{next(_numbers)}"


def any_model_version() -> str:
    return f"{any_round()}-{random.getrandbits(32):08x}"


def any_thing() -> str:
    return f"thing-{next(_numbers)}"


def any_boot() -> str:
    """A start of the component; one that is made later sorts later."""
    return f"{1_795_000_000_000 + next(_numbers)}-{random.getrandbits(32):08x}"


_BODIES: dict[str, dict[str, Any]] = {
    "alert": {"species": "shark", "probability": 0.93, "frames": 2, "visit_seconds": 0.5, "model": "r1-0a1b2c3d"},
    "health": {
        "model": {
            "version": "r1-0a1b2c3d",
            "target": "linux-arm64",
            "runtime": "onnxruntime",
            "self_test": "passed",
            "reason": "",
        },
        "frames_per_second": 2.0,
        "latency_ms": {"p50": 12.5, "p99": 14.0, "max": 20.0},
        "temperature_c": None,
        "queue": 0,
        "spool": {"records": 3, "frames": 1, "bytes": 65536, "place": "disk", "reason": ""},
        "dropped": 0,
        "unreadable": 0,
        "evicted": {"alert": 0, "health": 0, "summary": 0, "frame": 0},
        "sent": {"hour": 12_000, "day": 90_000, "hour_budget": 1_000_000, "day_budget": 10_000_000},
        "disk_free_mib": 5000,
        "memory_mib": 180,
        "restarts": {},
        "clock_jumps": 0,
        "configuration": "",
        "uptime_seconds": 900,
    },
    "summary": {
        "seconds": 300.0,
        "frames": 600,
        "unreadable": 0,
        "dropped": 0,
        "model": "r1-0a1b2c3d",
        "species": {"shark": {"visits": 2, "frames": 9, "seconds": 4.5, "best": 0.93}},
        "unknown": 0,
        "review": 1,
        "audit": 1,
    },
}


def any_body(kind: str, **fields: Any) -> dict[str, Any]:
    """The body of a record of one kind; the fields given in place of the usual ones."""
    return {**_BODIES[kind], **fields}


def any_bytes(size: int = 32) -> bytes:
    """Content that no other call gives."""
    return random.randbytes(size - 8) + next(_numbers).to_bytes(8)


def any_model_card(
    model_version: str, *, dataset_version: str = "d1", test_accuracy: float = 0.9, test_objects: int = 100
) -> dict[str, object]:
    """The content of model.json."""
    return {
        "model_version": model_version,
        "dataset_version": dataset_version,
        "task": "classification",
        "input": {"name": "image", "shape": [1, 3, 64, 64]},
        "output": "logits",
        "labels": ["crab", "squid"],
        "metrics": {"test_accuracy": test_accuracy, "test_objects": test_objects},
    }


def any_evaluation(
    model_version: str, *, accepted: bool = True, error: float = 0.1, objects: int = 100
) -> dict[str, object]:
    """The content of evaluation.json, of a model that has a champion: all numbers that there can be."""

    def rate(error: float, objects: int, **more: object) -> dict[str, object]:
        return {"error": error, "low": error / 2, "high": 2 * error, "objects": objects, **more}

    word = "reaches" if accepted else "is below"
    reason = f"test accuracy {1 - error:.4f} ({objects} objects) {word} the minimum 0.8"
    return {
        "model_version": model_version,
        "dataset_version": "d1",
        "human": rate(0.01, 600, who="team of experts"),
        "train": rate(0.05, 4000),
        "validation": rate(0.08, 800),
        "test": rate(error, objects),
        "avoidable_bias": {"value": 0.04, "low": 0.03, "high": 0.05},
        "variance": {"value": 0.03, "low": -0.01, "high": 0.07},
        "shift": {"value": 0.02, "low": -0.05, "high": 0.09},
        "advice": ["Work on avoidable bias."],
        "classes": [{"label": "crab", "objects": 50, "recall": 0.9, "low": 0.8, "high": 0.95}],
        "confusion": [[45, 5], [5, 45]],
        "calibration": {"temperature": 1.5, "before": 0.04, "after": 0.01, "bins": {"before": [], "after": []}},
        "champion": {
            "model_version": "d0-00000000",
            "objects": objects,
            "left_out": 0,
            "accuracy": 0.88,
            "candidate_accuracy": 1 - error,
            "only_candidate_right": 5,
            "only_champion_right": 3,
            "only_champion_right_by_machine": 1,
            "p_worse": 0.85546875,
            "p_better": 0.36328125,
        },
        "worst": [],
        "unreadable": {"objects": 0, "first": []},
        "gate": [{"check": "minimum_accuracy", "passed": accepted, "reason": reason}],
        "accepted": accepted,
        "reasons": [reason],
    }


def any_model_files(model_version: str, **card: Any) -> dict[str, bytes]:
    """The files of a model package, by name."""
    return {
        "model.onnx": any_bytes(),
        "labels.json": b'["crab", "squid"]',
        "model.json": json.dumps(any_model_card(model_version, **card)).encode(),
        "golden/golden.json": b"[]",
        "golden/crab.png": any_bytes(),
    }


def any_package(target: str = "linux-x86_64", outcome: Outcome = "compiled", **fields: Any) -> Package:
    """What the compilation stage says of one target of the table; the fields given in place of the usual ones."""
    entry, shipped = TARGETS[target], outcome != "refused"
    made: dict[str, Any] = {
        "target": target,
        "outcome": outcome,
        "delivery": entry.delivery,
        "platform": dict(entry.greengrass or {}),
        "runtime": "onnxruntime" if outcome == "portable" else entry.runtime,
        "key": f"models/m/packages/0a1b/{target}.zip" if shipped else "",
        "bytes": 32 if shipped else 0,
        "artifact_uri": f"s3://data-bucket/models/m/compiled/{target}/model.tar.gz" if outcome == "compiled" else "",
        "inference_image": "",
        "failure": None if outcome == "compiled" else {"kind": "unknown", "reason": f"why {target}", "advice": "none"},
        "parity": None,
    }
    return cast(Package, made | fields)


def tar_gz(files: dict[str, bytes]) -> bytes:
    """A .tar.gz that holds these files."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
