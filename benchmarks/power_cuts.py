"""Whether records survive: kill -9 of the component, and of the nucleus with its queue, while the link flaps.

A process with the component's own spool, budget, sender and connection to the nucleus is killed at random moments, and
so is the nucleus of the offline core device, lite and classic. The ingest function's own code keeps what arrives. In
the end, with the link up, everything that was ever in the spool is to be in the cloud's store once, in each priority
in the order in which it was made, and in no hour more bytes are to have left than the budget allows. An hour passes in
a minute there, and records are made so fast that the budget is what they wait for. The whole component, with its
supervisor and all stages, is killed as well: by a clock that is right, and so well within its budget.

What a power cut does to bytes that the disk has not written is not in this: tests/edge/spool is about that.

    python benchmarks/power_cuts.py [--kills 500] [--seed 1]
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "lambda"), str(ROOT / "edge" / "reefloop.Classifier")]

from classifier.messages import KINDS  # noqa: E402

from benchmarks.cuts import eyes  # noqa: E402
from benchmarks.cuts.cloud import Cloud, account, numbered  # noqa: E402
from benchmarks.cuts.component import THING, number_of  # noqa: E402
from benchmarks.cuts.fast_clock import FastClock  # noqa: E402
from benchmarks.cuts.reef import Device, Flapping, Metered  # noqa: E402
from offline.broker import Broker  # noqa: E402
from offline.state import State  # noqa: E402

SPEED: Final = 60.0
PER_HOUR: Final = 400_000
PER_SECOND: Final = 15.0
ROWS: Final = (
    ("lite", True, False, 0.35),
    ("classic", False, False, 0.35),
    ("lite, whole", True, True, 0.15),
    ("classic, whole", False, True, 0.15),
)
"""Which nucleus, whether the whole component runs, and the share of the kills."""
VICTIMS: Final = ("component", "component", "nucleus", "both")
LONGEST_LIFE_SECONDS: Final = {False: 1.0, True: 3.0}
"""Of the uplink alone, and of the whole component, which takes a second to see something."""
DRAIN_SECONDS: Final = 1800.0
STALL_SECONDS: Final = 0.3
SETTLE_SECONDS: Final = 2.0
"""For the last acknowledgements: two minutes of the device."""


@dataclass(frozen=True)
class Figures:
    """What came of one device."""

    kills: int
    nucleus_kills: int
    cuts: int
    records: int
    lost: int
    left: int
    """Still in the spool in the end."""
    twice: int
    out_of_order: int
    sent: int
    most: int
    budget: int
    seconds: float

    @property
    def good(self) -> bool:
        wrong = self.lost + self.left + self.twice + self.out_of_order
        return self.records > 0 and not wrong and self.most <= self.budget


def run(*, lite: bool, kills: int, whole: bool = False, seed: int = 1) -> Figures:
    """Kill one device so often, and let it send what it has kept."""
    speed = 1.0 if whole else SPEED
    chance, clock, started = random.Random(seed), FastClock(speed), time.monotonic()  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(State(Path(folder) / "state"))
        link = Metered(broker, THING, clock)
        with account(broker) as cloud:
            arguments = ["--speed", str(speed), "--per-hour", str(PER_HOUR)]
            device = Device(Path(folder) / "device", link, lite=lite, whole=whole, arguments=arguments)
            try:
                nucleus_kills, cuts = _torment(device, link, chance, kills)
                expected = _drain(device, cloud)
            finally:
                device.close()
            return _judge(device, cloud, link, expected, kills, nucleus_kills, cuts, time.monotonic() - started)


def _torment(device: Device, link: Metered, chance: random.Random, kills: int) -> tuple[int, int]:
    """Returns how often the nucleus was killed, and the link cut."""
    flapping, nucleus_kills, deck = Flapping(link, random.Random(chance.random())), 0, list[str]()  # noqa: S311
    arguments = device.arguments
    device.arguments = [*arguments, "--per-second", str(PER_SECOND)]
    for _ in range(kills):
        device.start()
        moment = time.monotonic() + chance.uniform(0.02, LONGEST_LIFE_SECONDS[device.whole])
        while time.monotonic() < moment:
            time.sleep(0.02)
            device.start()
        deck = deck or chance.sample(VICTIMS, len(VICTIMS))
        victims = deck.pop()
        if victims != "component":
            nucleus_kills += 1
            if nucleus_kills % 2:  # with something in its queue, which chance alone seldom brings about
                link.hold_messages()
                time.sleep(STALL_SECONDS)
            device.kill_nucleus(chance.uniform(0.0, 0.2))
        if victims != "nucleus":
            device.kill_component()
    device.kill_component()
    device.arguments = [*arguments, "--per-second", "0"]
    flapping.end()
    return nucleus_kills, flapping.cuts


def _drain(device: Device, cloud: Cloud) -> set[str]:
    """With the link up, wait until the cloud has everything and the device knows; returns what that is."""
    deadline, expected = time.monotonic() + DRAIN_SECONDS, device.seen | device.journalled()
    while True:
        device.start()
        time.sleep(0.25)
        late = time.monotonic() > deadline
        if late or expected <= cloud.kept:
            time.sleep(SETTLE_SECONDS)
            device.kill_component()
            if late or not device.spooled() & expected:
                return expected


def _judge(
    device: Device,
    cloud: Cloud,
    link: Metered,
    expected: set[str],
    kills: int,
    nucleus_kills: int,
    cuts: int,
    seconds: float,
) -> Figures:
    stored, left = cloud.records(), device.spooled() & expected
    numbers = [numbered(each.kind, each.body) for each in stored]
    twice = len(numbers) - len(set(numbers)) if not device.whole else 0
    disorder = 0
    for kind in KINDS:
        inorder = sorted((each for each in stored if each.kind == kind), key=lambda each: (each.boot, each.seq))
        for earlier, later in pairwise(inorder):
            disorder += later.at <= earlier.at
            disorder += not device.whole and number_of(kind, later.body) <= number_of(kind, earlier.body)
    return Figures(
        kills=kills,
        nucleus_kills=nucleus_kills,
        cuts=cuts,
        records=len(stored),
        lost=len(expected - cloud.kept - left),
        left=len(left),
        twice=twice,
        out_of_order=disorder,
        sent=cloud.came,
        most=link.most,
        budget=eyes.PER_HOUR if device.whole else PER_HOUR,
        seconds=seconds,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=500, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    titles = ("        device", "kills", "of nucleus", "link cuts", "records", "lost", "left", "twice",
              "out of order", "sent again", "most bytes/hour", "budget", "seconds")  # fmt: skip
    print("  ".join(titles), flush=True)
    good = True
    for name, lite, whole, share in ROWS:
        found = run(lite=lite, whole=whole, kills=round(share * given.kills), seed=given.seed)
        good &= found.good
        again = f"{found.sent / max(1, found.records) - 1:.1%}"
        cells = (name, found.kills, found.nucleus_kills, found.cuts, found.records, found.lost, found.left,
                 found.twice, found.out_of_order, again, found.most, found.budget, round(found.seconds))  # fmt: skip
        print("  ".join(f"{cell:>{len(title)}}" for cell, title in zip(cells, titles, strict=True)), flush=True)
    print("every record once and in order, within the budget" if good else "NOT WHAT IS ASKED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
