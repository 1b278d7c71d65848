"""The table at the end."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from console import outcomes
from console.commands.report import human_level
from console.demo.workspace import SUMMARY
from console.screen import Screen
from console.tables import PlainTable, share


def print_summary(screen: Screen, summary: Mapping[str, Any]) -> None:
    """Print the summary as tables."""
    for table in (
        _rounds(summary),
        _models(summary),
        _stages(summary),
        human_level(summary["human_level"]),
        *outcomes.tables(summary["targets"]),
        _devices(summary),
        _alerts(summary),
        _numbers(summary),
        _seconds(summary),
    ):
        screen.print(table)
    screen.say(f"every number: {SUMMARY}")


def _rounds(summary: Mapping[str, Any]) -> Table:
    table = PlainTable("round", "objects", "by machine", "by people", "label error")
    for row in summary["rounds"]:
        counts = (row["objects"], row["machine_labels"], row["human_labels"])
        table.add(row["round"], *counts, share(row["label_error"]))
    return table


def _models(summary: Mapping[str, Any]) -> Table:
    """What each round's model is worth, with 95 % intervals, and what its evaluation advises first."""
    table = PlainTable("model of round", "epochs", "validation accuracy", "test accuracy", "advice")
    for row in summary["rounds"]:
        rates = (_interval(row["validation"]), _interval(row["test"]))
        table.add(row["round"], row["training_epochs"], *rates, next(iter(row["advice"]), "-"))
    return table


def _stages(summary: Mapping[str, Any]) -> Table:
    stages = list(dict.fromkeys(stage for row in summary["rounds"] for stage in row["stage_seconds"]))
    table = PlainTable("seconds of round", *stages)
    for row in summary["rounds"]:
        table.add(row["round"], *(row["stage_seconds"].get(stage) for stage in stages))
    return table


def _devices(summary: Mapping[str, Any]) -> Table:
    table = PlainTable("device", "status", "model", "self-test")
    for row in summary["devices"]:
        table.add(row["thing"], row["status"], row["model_version"], row["self_test"])
    return table


def _alerts(summary: Mapping[str, Any]) -> Table:
    """What the cameras were told to watch out for, and saw."""
    table = PlainTable("alerts of", "species", "alerts", "surest")
    for row in summary["alerts"]:
        table.add(row["thing"], row["species"], row["alerts"], share(row["probability"]))
    return table


def _numbers(summary: Mapping[str, Any]) -> Table:
    everything = summary["bytes_send_everything"]
    of_all = f" ({summary['bytes_sent'] / everything:.0%} of sending everything)" if everything else ""
    table = PlainTable("at the edge", "")
    rate = summary["frames_per_second"]
    table.add("frames", f"{summary['frames']} at {_text(rate and round(rate))} per second and device")
    table.add("latency", f"p50 {_text(summary['latency_ms']['p50'])} ms, p99 {_text(summary['latency_ms']['p99'])} ms")
    table.add("sent", f"{summary['bytes_sent'] / 1024:.0f} KiB with {summary['frames_sent']} frames{of_all}")
    table.add("accuracy", share(summary["edge_accuracy"]))
    table.add("components", ", ".join(f"{c['component']} {c['version']}" for c in summary["component_versions"]))
    table.add("resources", f"{sum(summary['resources'].values())} of {len(summary['resources'])} types")
    done = [execution["status"] for execution in summary["executions"]].count("SUCCEEDED")
    table.add("executions", f"{done} of {len(summary['executions'])} succeeded")
    return table


def _seconds(summary: Mapping[str, Any]) -> Table:
    table = PlainTable("step", "seconds")
    for name, seconds in summary["seconds"].items():
        table.add(name, f"{seconds:.1f}")
    return table


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _interval(rate: Mapping[str, Any] | None) -> str:
    return "-" if rate is None else f"{rate['accuracy']:.1%} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"
