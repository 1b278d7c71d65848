"""What a device sends beside one that publishes every result and uploads every frame, over the demo's mixed footage.

Two cameras, one at each of the demo's sites, see hours of footage: animals of sixteen species, some alone and some in
crowds of two, and empty water for most of the time, at the default frame rate. It passes in simulated time through the
component's own worker, policy, spool, packing, byte budget and uplink, once with answers that are always right, once
with those of the demo's model, which is trained first, as in the demo's first round on pictures of the reef alone: at
the wreck it is mostly wrong. Everything is configured as by default but for the watch list.

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
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

# First, since it makes the project importable.
from learning import ROOT  # isort: skip

sys.path.insert(0, str(ROOT / "edge" / "reefloop.Classifier"))

from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.models import model as models
from classifier.models.model import Answer
from device import packages
from device.simulated import Simulated

from offline.footage import Footage, Shot, record
from offline.sites import SITES

WATCHED: Final = ("shark", "turtle")
MAXIMUM_SHARE: Final = 0.01
MAXIMUM_OFF: Final = 0.1
PRESENT_SECONDS: Final = 2.0
HOUR: Final = 3600.0
RIGHT: Final = "always right, both sites"


class Right:
    """Always right, and always sure: it is told the answer. Water and what is hardly in the picture are unknown."""

    package: Any = SimpleNamespace(version=packages.VERSION)
    label = ""

    def classify(self, _frame: Frame) -> Answer:
        known = bool(self.label)
        return Answer(self.label, 0.99, margin=0.98, entropy=0.02, unsure=False, unknown=not known)


@dataclass
class Tally:
    """What came of some footage through one model."""

    frames: int = 0
    everything: int = 0
    messages: int = 0
    uploads: int = 0
    charged: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    due: int = 0
    missed: int = 0

    @property
    def share(self) -> float:
        return self.charged / self.everything

    @property
    def off(self) -> tuple[float, str]:
        """The species that is counted worst, and by how much of the truth."""
        return max((abs(self.counted[name] - true) / true, name) for name, true in self.true.items())

    def saw(self, footage: Footage, device: Simulated) -> None:
        """Add what a device sent of its footage."""
        cloud = device.cloud
        self.messages += cloud.message_bytes
        self.uploads += cloud.frame_bytes
        self.charged += device.charged
        self.reasons.update(metadata["reason"] for metadata in cloud.frames)
        for summary in cloud.records.get("summary", ()):
            for name, species in summary.body["species"].items():
                self.counted[name] += species["visits"]
        self.true.update(visit.species for visit in footage.visits)
        began = ManualClock().wall()
        alerts = [(alert.body["species"], alert.at / 1000 - began) for alert in cloud.records.get("alert", ())]
        self.alerts += len(alerts)
        for visit in footage.visits:
            if visit.species in WATCHED and visit.seconds >= PRESENT_SECONDS:
                self.due += 1
                self.missed += not any(
                    name == visit.species and visit.begin <= at <= visit.end + 1 for name, at in alerts
                )


def everything(shot: Shot, name: str) -> int:
    """Bytes of a frame for a device that keeps nothing to itself."""
    result = {"thing": "bench", "frame": name, "label": shot.label, "probability": 0.987654, "at": round(shot.at, 3)}
    return len(shot.content) + len(json.dumps(result, separators=(",", ":")))


def watch(footage: Footage, folder: Path, model: models.Model, tallies: dict[str, Tally]) -> None:
    """Let a device with either model see the footage, and add up what it sends."""
    right, configuration = Right(), Configuration(watch_list=WATCHED)
    demo = f"the demo's model, {footage.site}"
    tallies[demo] = Tally()
    devices = {
        RIGHT: Simulated(folder / f"{footage.site}-right", right, configuration),
        demo: Simulated(folder / f"{footage.site}-demo", model, configuration),
    }
    for number, shot in enumerate(footage.shots()):
        name, right.label = f"{number:06d}.jpg", shot.label
        for way, device in devices.items():
            device.see(shot.at, name, shot.content)
            tallies[way].frames += 1
            tallies[way].everything += everything(shot, name)
    for way, device in devices.items():
        device.finish()
        tallies[way].saw(footage, device)


def rows(tallies: dict[str, Tally]) -> list[tuple[str, list[str]]]:
    """The table, one row of values for each way."""

    def kib(size: float) -> str:
        return f"{size / 1024:,.0f}"

    def each(value: Any) -> list[str]:
        return [value(tally) for tally in tallies.values()]

    return [
        ("frames", each(lambda t: f"{t.frames:,}")),
        ("a device that sends everything, KiB", each(lambda t: kib(t.everything))),
        ("this one, KiB", each(lambda t: kib(t.charged))),
        ("of that, messages", each(lambda t: kib(t.messages))),
        ("of that, frames", each(lambda t: kib(t.uploads))),
        ("of that, what they are wrapped in", each(lambda t: kib(t.charged - t.messages - t.uploads))),
        ("share, asked is at most 1 %", each(lambda t: f"{t.share:.2%}")),
        *(
            (f"frames sent: {reason}", each(lambda t, reason=reason: str(t.reasons[reason])))
            for reason in ("uncertain", "unknown", "audit")
        ),
        (f"watched animals there for {PRESENT_SECONDS:g} s", each(lambda t: str(t.due))),
        ("of these without an alert", each(lambda t: str(t.missed))),
        ("alerts", each(lambda t: str(t.alerts))),
        ("animals that came", each(lambda t: str(t.true.total()))),
        ("animals counted", each(lambda t: str(t.counted.total()))),
        ("the worst count of a species is off by", each(lambda t: f"{t.off[0]:.0%}")),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=3.0, help="of footage at each of the sites")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    tallies = {RIGHT: Tally()}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = models.load(packages.trained(folder / "model"), "onnxruntime-portable", threads=1)
        for site in SITES:
            watch(record(options.seed, site=site, seconds=options.hours * HOUR), folder, model, tallies)
    print(f"| | {' | '.join(tallies)} |\n|---|{'---|' * len(tallies)}")
    for name, values in rows(tallies):
        print(f"| {name} | {' | '.join(values)} |")
    right, (off, name) = tallies[RIGHT], tallies[RIGHT].off
    faults = {
        f"{way}: {tally.share:.2%} of the bytes is sent; asked is {MAXIMUM_SHARE:.0%}": tally.share > MAXIMUM_SHARE
        for way, tally in tallies.items()
    }
    faults[f"{right.missed} watched animals raised no alert"] = right.missed > 0
    faults[f"the count of {name} is off by {off:.0%}; asked is {MAXIMUM_OFF:.0%}"] = off > MAXIMUM_OFF
    print("".join(f"\n{fault}" for fault, true in faults.items() if true), file=sys.stderr)
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
