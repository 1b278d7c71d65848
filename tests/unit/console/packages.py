"""What compilations leave, as payloads.Package."""

from typing import Any

PARITY = {
    "runtime": "onnxruntime",
    "instance_type": "ml.m5.xlarge",
    "golden": 16,
    "golden_agreement": 1.0,
    "difference": 0.00002,
    "objects": 812,
    "agreement": 0.9988,
    "accuracy": 0.91,
    "source_accuracy": 0.911,
    "p50_ms": 0.25,
    "p99_ms": 0.5,
    "source_p50_ms": 1.5,
    "source_p99_ms": 2.0,
    "compiled_bytes": 1000,
    "source_bytes": 2000,
}


def any_package(target: str = "linux-x86_64", **changes: Any) -> dict[str, Any]:
    """A target that was compiled and not measured."""
    whole = {
        "target": target,
        "outcome": "compiled",
        "delivery": "artifact",
        "platform": {},
        "runtime": "dlr",
        "key": f"models/1-0a1b2c3d/packages/0123/{target}.zip",
        "bytes": 2048,
        "artifact_uri": "s3://bucket/compiled.tar.gz",
        "inference_image": "",
        "failure": None,
        "parity": None,
    }
    return {**whole, **changes}


def not_compiled(
    target: str, *, outcome: str = "refused", kind: str = "operator", reason: str = "TVM cannot convert FlipOp"
) -> dict[str, Any]:
    failure = {"kind": kind, "reason": reason, "advice": "replace the operator"}
    return any_package(target, outcome=outcome, failure=failure) | (
        {"key": "", "bytes": 0} if outcome == "refused" else {}
    )
