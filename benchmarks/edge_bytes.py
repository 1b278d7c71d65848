"""What a device sends beside one that publishes every result and uploads every frame, over the demo's mixed footage.

Two cameras, one at each of the demo's sites, see hours of footage: animals of sixteen species, some alone and some in
crowds of two, and empty water for most of the time, at the default frame rate. It passes in simulated time through the
component itself, without threads, to a link that takes everything at once: once with answers that are always
right, once with those of the demo's model. That is trained first, as in the demo's first round, on pictures of the reef
alone: at the wreck it is mostly wrong. Everything is configured as by default but for the watch list.

What the component sends is counted with all that it is wrapped in, as its budget counts it: headers, TLS, TCP,
acknowledgements. Of the other device the bare JSON of its results and the bare bytes of its frames are counted, which
flatters it.

Asked, with either model: at most 1 % of the bytes. With answers that are always right: every animal of the watch list
that is there for 2 seconds or longer raises its alert, and every species is counted within 10 % of the truth.

    python benchmarks/edge_bytes.py [--hours 3] [--seed 1]
"""

import argparse
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

# First, since it makes the project importable.
from learning import ROOT  # isort: skip

sys.path.insert(0, str(ROOT / "edge" / "reefloop.Classifier"))

from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.models.model import Answer
from classifier.simulation import Simulation
from device import packages

from offline.footage import Footage, Shot, record
from offline.sites import SITES

WATCHED: Final = ("shark", "turtle")
MAXIMUM_SHARE: Final = 0.01
MAXIMUM_OFF: Final = 0.1
PRESENT_SECONDS: Final = 2.0
HOUR: Final = 3600.0
RIGHT: Final = "always right, both sites"


class Recorded:
    """Footage as a source of frames."""

    live = False

    def __init__(self, shots: Sequence[Shot]) -> None:
        self._shots, self._next = shots, 0

    @property
    def exhausted(self) -> bool:
        return self._next == len(self._shots)

    def next(self, _stop: threading.Event) -> Frame:
        shot = self._shots[self._next]
        self._next += 1
        return Frame(name_of(shot), shot.at, content=shot.content)

    def finish(self, frame: Frame) -> None:
        """It stays where it is."""

    def set_aside(self, frame: Frame, reason: str) -> bool:
        raise AssertionError(f"{frame.name} is no frame: {reason}")

    def close(self) -> None:
        """It holds nothing open."""


class Right:
    """Always right, and always sure: it knows the footage. Water and what is hardly in the picture are unknown."""

    package: Any = SimpleNamespace(version=packages.VERSION, target="bench")
    runtime, notes = "none", ""

    def __init__(self, shots: Sequence[Shot]) -> None:
        self._labels = {name_of(shot): shot.label for shot in shots}

    def classify(self, frame: Frame) -> Answer:
        label = self._labels[frame.name]
        return Answer(label, 0.99, margin=0.98, entropy=0.02, unsure=False, unknown=not label)


@dataclass
class Tally:
    """What came of some footage through one model."""

    everything: int = 0
    frames: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes by kind."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Frames by why they were sent."""
    counted: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    due: int = 0
    missed: int = 0

    @property
    def share(self) -> float:
        return self.sent.total() / self.everything

    @property
    def off(self) -> tuple[float, str]:
        """The species that is counted worst, and by how much of the truth."""
        return max((abs(self.counted[name] - true) / true, name) for name, true in self.true.items())

    def add(self, footage: Footage, shots: Sequence[Shot], simulation: Simulation, began: float) -> None:
        """`began` is the device's clock when its footage did."""
        cloud = simulation.cloud
        self.frames += len(shots)
        self.everything += sum(map(everything, shots))
        self.sent.update(cloud.bytes)
        self.reasons.update(upload.metadata["reason"] for upload in cloud.uploads)
        for summary in cloud.of("summary"):
            self.counted.update({name: species["visits"] for name, species in summary.body["species"].items()})
        self.true.update(visit.species for visit in footage.visits)
        alerts = [(alert.body["species"], alert.at / 1000 - began) for alert in cloud.of("alert")]
        self.alerts += len(alerts)
        for visit in footage.visits:
            if visit.species in WATCHED and visit.seconds >= PRESENT_SECONDS:
                self.due += 1
                raised = any(name == visit.species and visit.begin <= at <= visit.end + 1 for name, at in alerts)
                self.missed += not raised


def name_of(shot: Shot) -> str:
    return f"{round(1000 * shot.at):09d}.jpg"


def everything(shot: Shot) -> int:
    """Bytes of a frame for a device that keeps nothing to itself."""
    result = {"thing": "reef-1", "frame": name_of(shot), "label": shot.label, "probability": 0.987654, "at": shot.at}
    return len(shot.content) + len(json.dumps(result, separators=(",", ":")))


def watch(footage: Footage, folder: Path, package: Path, tallies: dict[str, Tally]) -> None:
    """Let a device with either model see the footage, and add up what it sends."""
    shots = list(footage.shots())
    configuration = Configuration(watch_list=WATCHED, bucket="data")
    for way, right in ((RIGHT, True), (f"the demo's model, {footage.site}", False)):
        simulation = Simulation(folder / f"{footage.site}-{right}", configuration, model=package)
        outcome = simulation.begin()
        assert outcome is not None
        assert outcome.model is not None, outcome.reason
        if right:
            models: Any = simulation.parts.models
            models.serving = Right(shots)
        began = simulation.clock.wall() - simulation.clock.elapsed()
        simulation.play(Recorded(shots))
        simulation.finish(seconds=60)
        tallies.setdefault(way, Tally()).add(footage, shots, simulation, began)


def rows(tallies: dict[str, Tally]) -> list[tuple[str, list[str]]]:
    """The table, one row of values for each way."""

    def kib(size: float) -> str:
        return f"{size / 1024:,.0f}"

    def each(value: Any) -> list[str]:
        return [value(tally) for tally in tallies.values()]

    return [
        ("frames", each(lambda t: f"{t.frames:,}")),
        ("a device that sends everything, KiB", each(lambda t: kib(t.everything))),
        ("this one, KiB", each(lambda t: kib(t.sent.total()))),
        *((f"of that for {kind}", each(lambda t, k=key: kib(t.sent[k]))) for key, kind in KINDS.items()),
        ("share, asked is at most 1 %", each(lambda t: f"{t.share:.2%}")),
        *((f"frames sent: {reason}", each(lambda t, r=reason: str(t.reasons[r]))) for reason in REASONS),
        (f"watched animals there for {PRESENT_SECONDS:g} s", each(lambda t: str(t.due))),
        ("of these without an alert", each(lambda t: str(t.missed))),
        ("alerts", each(lambda t: str(t.alerts))),
        ("animals that came", each(lambda t: str(t.true.total()))),
        ("animals counted", each(lambda t: str(t.counted.total()))),
        ("the worst count of a species is off by", each(lambda t: f"{t.off[0]:.0%}")),
    ]


def faults(tallies: dict[str, Tally]) -> list[str]:
    """What must hold and does not."""
    right, (off, name) = tallies[RIGHT], tallies[RIGHT].off
    checks = {
        f"{way}: {tally.share:.2%} of the bytes is sent; asked is {MAXIMUM_SHARE:.0%}": tally.share <= MAXIMUM_SHARE
        for way, tally in tallies.items()
    }
    checks[f"{right.missed} of {right.due} watched animals raised no alert"] = not right.missed
    checks[f"the count of {name} is off by {off:.0%}; asked is {MAXIMUM_OFF:.0%}"] = off <= MAXIMUM_OFF
    return [fault for fault, holds in checks.items() if not holds]


KINDS: Final = {"alert": "alerts", "health": "health", "summary": "summaries", "frame": "frames"}
REASONS: Final = ("uncertain", "unknown", "audit")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=3.0, help="of footage at each of the sites")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as place:
        package = packages.trained(Path(place) / "model")
        for site in SITES:
            watch(record(options.seed, site=site, seconds=options.hours * HOUR), Path(place), package, tallies)
    print(f"| | {' | '.join(tallies)} |\n|---|{'---|' * len(tallies)}")
    for name, values in rows(tallies):
        print(f"| {name} | {' | '.join(values)} |")
    problems = faults(tallies)
    print("".join(f"\n{problem}" for problem in problems), file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
