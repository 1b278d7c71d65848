"""What the demo leaves on the terminal: every number of its summary, and of every target what it got and why."""

from typing import Any

from rich.console import Console

from console.demo.report import print_summary
from console.screen import Screen
from tests.any import any_package
from tests.unit.console.packages import PARITY, not_compiled

RATE = {"accuracy": 0.9331, "low": 0.859, "high": 0.975, "objects": 75}
ROUND = {
    "round": "1",
    "objects": 576,
    "machine_labels": 0,
    "human_labels": 576,
    "label_error": 0.0139,
    "training_epochs": 40,
    "validation": RATE,
    "test": None,
    "advice": ["Work on variance."],
    "stage_seconds": {"labeling": 9.9},
}
NOTHING = ROUND | {
    "round": "2",
    "label_error": None,
    "training_epochs": None,
    "validation": None,
    "advice": [],
    "stage_seconds": {},
}


def any_summary(**changes: Any) -> dict[str, Any]:
    whole = {
        "resources": {"AWS::S3::Bucket": 2},
        "executions": [{"machine": "loop", "name": "round-1", "status": "SUCCEEDED"}],
        "rounds": [ROUND, NOTHING],
        "human_level": {},
        "targets": [any_package(bytes=2048, parity=PARITY), not_compiled("qcs605", outcome="portable")],
        "component_versions": [{"component": "reefloop.Model", "version": "1.1.0"}],
        "devices": [{"thing": "reef-north", "status": "HEALTHY", "model_version": "1-0a", "self_test": "passed"}],
        "frames": 416,
        "alerts": [{"thing": "reef-north", "species": "shark", "alerts": 2, "probability": 0.987}],
        "frames_sent": 3,
        "frames_per_second": 777.4,
        "latency_ms": {"p50": 0.716, "p99": 5.679},
        "bytes_sent": 1024,
        "bytes_send_everything": 4096,
        "edge_accuracy": 0.815,
        "seconds": {"bootstrap": 7.6},
    }
    return whole | changes


def shown(summary: dict[str, Any]) -> list[list[str]]:
    """The cells of every line."""
    screen = Screen(Console(width=200, force_terminal=False))
    with screen.terminal.capture() as capture:
        print_summary(screen, summary)
    return [[cell.strip() for cell in line.split("│")] for line in capture.get().splitlines()]


def test_every_target_stands_with_what_it_got_and_why() -> None:
    lines = shown(any_summary())
    agreement = "100.0% of 16 golden, 99.88% of 812"
    assert ["linux-x86_64", "compiled", "2", agreement, "0.25 (0.5)", "1.5 (2)", "6.0"] in lines
    assert ["qcs605", "portable", "2", "-", "-", "-", "-"] in lines
    assert ["qcs605", "operator", "TVM cannot convert FlipOp", "replace the operator"] in lines


def test_a_number_that_there_is_not_is_a_dash() -> None:
    lines = shown(any_summary(edge_accuracy=None, frames_per_second=None, latency_ms={"p50": None, "p99": None}))
    assert ["1", "40", "93.3% (85.9 to 97.5)", "-", "Work on variance."] in lines
    assert ["2", "-", "-", "-", "-"] in lines
    assert ["2", "-"] in lines
    assert ["frames", "416 at - per second and device"] in lines
    assert ["accuracy", "-"] in lines


def test_what_was_sent_is_compared_with_sending_everything() -> None:
    assert ["sent", "1 KiB with 3 frames (25% of sending everything)"] in shown(any_summary())
    assert ["sent", "1 KiB with 3 frames"] in shown(any_summary(bytes_send_everything=0))


def test_alerts_stand_with_their_device_and_how_sure_it_was() -> None:
    assert ["reef-north", "shark", "2", "98.7%"] in shown(any_summary())
