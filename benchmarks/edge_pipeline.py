"""What the component costs beside the loop that anybody would write first, over the same frames on as many threads.

The bare loop reads a file, decodes it, resizes it and asks ONNX Runtime. The component does that and everything else:
its folder is emptied file by file, the policy sees each answer, alerts, summaries and frames go through the spool to a
cloud that takes and acknowledges them at once, and all of its threads run. Both do the same frames, in blocks of a
third of a second by turns, so that whatever else the machine does meets both alike. A frame's latency begins when its
bytes are there and ends when it is known what is to be done about it.

Asked, of frames as large as cameras have them: at least 0.9 times the bare loop's frames per second (the median over
pairs of blocks that stood side by side), and a 99th percentile over the median of at most 1.2 times the bare loop's
(the median over stretches of a hundred frames).
And that its resident memory grows by less than 5 MiB over 100,000 frames. These are small, as are the first of the
table: a frame takes a millisecond, and what the component does around it is seen best.

    python benchmarks/edge_pipeline.py [--blocks 40] [--frames 100000] [--threads 1]
"""

import argparse
import gc
import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# First, since it makes the project importable.
from learning import ROOT, SPECIES, laptop  # isort: skip

sys.path.insert(0, str(ROOT / "edge" / "reefloop.Classifier"))

from classifier.pipeline.health import memory_mib
from compiling.resnet import resnet18
from device import packages
from device.bare import Bare
from device.component import Component
from device.frames import photographs
from device.times import Times, percentile

from jobs.training.networks import OWN, build
from offline.scenes import make_images

MINIMUM_RATE: Final = 0.9
MAXIMUM_TAIL: Final = 1.2
MAXIMUM_GROWTH_MIB: Final = 5.0
BLOCK_SECONDS: Final = 0.3
FEWEST: Final = 10
"""Frames of a block."""
STRETCH: Final = 100
BATCH: Final = 2_000


@dataclass(frozen=True)
class Subject:
    """A model and frames of one size."""

    name: str
    package: Path
    frames: list[Path]
    asked: bool = True
    """A camera has frames of that size."""


@dataclass(frozen=True)
class Race:
    """Blocks of both, by turns."""

    bare: list[Times]
    component: list[Times]

    @property
    def rate(self) -> float:
        """Of the component, over that of the bare loop."""
        pairs = zip(self.component, self.bare, strict=True)
        return statistics.median(ours.frames_per_second / its.frames_per_second for ours, its in pairs)

    @property
    def tail(self) -> float:
        """The component's p99 over its median, over the same of the bare loop: the median of stretches of neighbouring
        blocks with STRETCH frames each, since one moment in which the machine does something else decides a p99."""
        blocks = -(-STRETCH // len(self.bare[0].latencies_ms))
        starts = range(0, max(1, len(self.bare) - blocks + 1), blocks)
        return statistics.median(
            _tail(self.component[start : start + blocks]) / _tail(self.bare[start : start + blocks]) for start in starts
        )


def _tail(blocks: list[Times]) -> float:
    return percentile(blocks, 99) / percentile(blocks, 50)


def subjects(folder: Path) -> list[Subject]:
    pixels = laptop().image_pixels
    network = build(OWN, classes=len(SPECIES), pixels=pixels, normalization="batch", pretrained=False)
    small = packages.untrained(folder / "small", network, pixels=pixels, classes=len(SPECIES))
    large = packages.untrained(folder / "large", resnet18(1000), pixels=224, classes=1000)
    vga, full = photographs(folder / "vga", (640, 480), 60), photographs(folder / "full", (1920, 1080), 24)
    tiny = make_images(folder / "tiny", SPECIES, 8, seed=1)
    return [
        Subject(f"128 x 96, demo's model at {pixels}", small, tiny, asked=False),
        Subject(f"640 x 480, demo's model at {pixels}", small, vga),
        Subject(f"1920 x 1080, demo's model at {pixels}", small, full),
        Subject("640 x 480, ResNet-18 at 224", large, vga),
    ]


def raced(subject: Subject, folder: Path, *, blocks: int, threads: int) -> Race:
    bare = Bare(subject.package, threads=threads)
    with Component(folder, subject.package, inference_threads=threads) as component:
        endless = itertools.cycle(subject.frames)
        count = max(FEWEST, round(BLOCK_SECONDS * bare.run(subject.frames[:FEWEST]).frames_per_second))
        found = Race([], [])
        for number in range(-1, blocks):  # one block to warm up
            frames = list(itertools.islice(endless, count))
            ours, its = (way.run(frames) for way in ((component, bare) if number % 2 else (bare, component)))
            if not number % 2:
                ours, its = its, ours
            if number >= 0:
                found.component.append(ours)
                found.bare.append(its)
    return found


def memory(subject: Subject, folder: Path, *, frames: int, threads: int) -> list[float]:
    """MiB of resident memory at ten moments, the first after a batch to warm up, when it keeps as many files of
    classified frames as it will: their names are the one thing that grows, up to `keep_frames`."""
    found = []
    with Component(folder, subject.package, inference_threads=threads, keep_frames=BATCH // 2) as component:
        batch: Sequence[Path] = list(itertools.islice(itertools.cycle(subject.frames), BATCH))
        component.run(batch)
        for number in range(frames // BATCH + 1):
            if number:
                component.run(batch)
            if number % max(1, frames // BATCH // 10) == 0:
                gc.collect()
                found.append(memory_mib())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    problems = []
    with tempfile.TemporaryDirectory() as place:
        tried = subjects(Path(place))
        print("| frames, model | | per second | p50 ms | p99 ms | rate over bare | tail over bare |")
        print("|---|---|---|---|---|---|---|")
        for number, subject in enumerate(tried):
            race = raced(subject, Path(place) / f"race-{number}", blocks=options.blocks, threads=options.threads)
            for name, blocks in (("bare loop", race.bare), ("component", race.component)):
                rate = statistics.median(block.frames_per_second for block in blocks)
                ratios = f"{race.rate:.2f} | {race.tail:.2f}" if name == "component" else " | "
                p50, p99 = percentile(blocks, 50), percentile(blocks, 99)
                print(f"| {subject.name} | {name} | {rate:.1f} | {p50:.2f} | {p99:.2f} | {ratios} |", flush=True)
            if subject.asked and race.rate < MINIMUM_RATE:
                problems.append(f"{subject.name}: {race.rate:.2f} times the bare loop's rate; asked is {MINIMUM_RATE}")
            if subject.asked and race.tail > MAXIMUM_TAIL:
                problems.append(f"{subject.name}: {race.tail:.2f} times the bare loop's tail; asked is {MAXIMUM_TAIL}")
        sizes = memory(tried[0], Path(place) / "memory", frames=options.frames, threads=options.threads)
    growth = sizes[-1] - sizes[0]
    print(f"\nresident memory over {options.frames:,} frames, MiB: {', '.join(f'{size:.1f}' for size in sizes)}")
    if growth >= MAXIMUM_GROWTH_MIB:
        problems.append(f"resident memory grew by {growth:.1f} MiB; asked is less than {MAXIMUM_GROWTH_MIB}")
    print("".join(f"\n{problem}" for problem in problems), file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
