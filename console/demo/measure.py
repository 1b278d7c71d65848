"""Numbers from recorded answers: pure functions, nothing that is not in what they are given."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, Final

from console.errors import Failure
from reefloop.contracts import LABEL_ATTRIBUTE

Line = Mapping[str, Any]

PAUSE_SECONDS: Final = 1.5
LEARNED: Final = 0.9
"""The validation accuracy that the default recipe reaches on the demo's own pictures."""


@dataclass(frozen=True)
class Labels:
    """How the objects of a round were labeled, and how often wrong."""

    machine: int
    human: int
    wrong: int

    @property
    def error(self) -> float | None:
        """Share of wrong labels; None when nothing was labeled."""
        return self.wrong / (self.machine + self.human) if self.machine + self.human else None


def read_lines(text: str) -> list[Line]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def count_labels(lines: Iterable[Line], truth: Mapping[str, str]) -> Labels:
    """Count the labels of an augmented manifest; `truth` is file name to class."""
    machine = human = wrong = 0
    for line in lines:
        metadata = line[f"{LABEL_ATTRIBUTE}-metadata"]
        if metadata["human-annotated"] == "yes":
            human += 1
        else:
            machine += 1
        wrong += metadata["class-name"] != truth[PurePosixPath(line["source-ref"]).name]
    return Labels(machine, human, wrong)


def accuracy(results: Iterable[Line], truth: Mapping[str, str]) -> float | None:
    """Share of frames that devices classified right; None without frames."""
    right = [line["label"] == truth[line["frame"]] for line in results]
    return sum(right) / len(right) if right else None


def check_recipe(rounds: Iterable[Mapping[str, Any]]) -> None:
    """The models learned what there is to learn: no 95 % interval of a validation accuracy ends below LEARNED.

    Some seventy pictures decide, so that the accuracy itself is below it by chance now and then.

    Raises:
        Failure: naming the first round whose model did not.
    """
    for row in rounds:
        found = row["validation"]
        if found and found["high"] < LEARNED:
            raise Failure(
                f"the model of round {row['round']} has a validation accuracy of {found['accuracy']:.1%} on "
                f"{found['objects']} pictures, {found['high']:.1%} at most; the default recipe reaches {LEARNED:.0%} "
                "on the demo's pictures: a change of network, augmentation or stages.laptop.training made it worse"
            )


@dataclass(frozen=True)
class Work:
    """What devices say of their work, taken together.

    A health record holds percentiles and not the times behind them, so the median of all is estimated by the median of
    the records' medians, each as heavy as its frames, and the 99th percentile is bounded by the worst record's.
    """

    frames: int
    p50_ms: float | None
    p99_ms: float | None


def add_up(summaries: Iterable[Line], health: Iterable[Sequence[Line]]) -> Work:
    """Take together the summaries of any devices, and their health records, a sequence for each start of a device."""
    times = [(record["latency_ms"], frames) for records in health for record, frames in classified(records) if frames]
    return Work(
        frames=sum(summary["frames"] for summary in summaries),
        p50_ms=weighted_median([(time["p50"], frames) for time, frames in times]),
        p99_ms=max((time["p99"] for time, _ in times), default=None),
    )


def classified(records: Sequence[Line]) -> list[tuple[Line, int]]:
    """How many frames each health record is about: its rate, over the time since the one before."""
    found, before = [], 0.0
    for record in records:
        found.append((record, round(record["frames_per_second"] * (record["uptime_seconds"] - before))))
        before = record["uptime_seconds"]
    return found


@dataclass(frozen=True)
class Watched:
    """The alerts of one species from one device."""

    thing: str
    species: str
    alerts: int
    probability: float
    """Of the surest."""


def watched(alerts: Mapping[str, Iterable[Line]]) -> list[Watched]:
    """What the alerts of each thing say, by thing and species."""
    found: dict[tuple[str, str], list[float]] = {}
    for thing, bodies in alerts.items():
        for body in bodies:
            found.setdefault((thing, body["species"]), []).append(body["probability"])
    return [Watched(*names, len(sure), max(sure)) for names, sure in sorted(found.items())]


def weighted_median(values: Iterable[tuple[float, int]]) -> float | None:
    """The smallest value that half of the weight does not exceed; None without weight."""
    ordered = sorted(values)
    half, seen = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        seen += weight
        if weight and seen >= half:
            return value
    return None


def frames_per_second(results: Iterable[Sequence[Line]]) -> float | None:
    """The rate of one device while frames were waiting: a pause that is longer than PAUSE_SECONDS had none to classify.

    `results` are the logs of the devices, one each; None when no device had two frames in a row.
    """
    gaps = [
        (later - earlier).total_seconds()
        for log in results
        for earlier, later in pairwise(sorted(datetime.fromisoformat(line["at"]) for line in log))
    ]
    busy = [gap for gap in gaps if gap <= PAUSE_SECONDS]
    return len(busy) / sum(busy) if sum(busy) else None
