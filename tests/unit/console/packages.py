"""What compilations leave, as payloads.Package."""

from reefloop.payloads import Outcome, Package, Parity
from tests.any import any_package

PARITY: Parity = {
    "runtime": "onnxruntime",
    "instance_type": "ml.m5.xlarge",
    "golden": 16,
    "golden_agreement": 1.0,
    "golden_deviation": 0.0001,
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


def not_compiled(
    target: str, *, outcome: Outcome = "refused", kind: str = "operator", reason: str = "TVM cannot convert FlipOp"
) -> Package:
    failure = {"kind": kind, "reason": reason, "advice": "replace the operator"}
    return any_package(target, outcome, failure=failure, bytes=0 if outcome == "refused" else 2048)
