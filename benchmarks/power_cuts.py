"""Whether records survive: kill -9 of the component, and of the nucleus with its queue, while the link flaps.

A process with the component's own spool, budget, sender and connection to the nucleus is killed at random moments, and
so is the nucleus of the offline core device, lite and classic. The ingest function's own code keeps what arrives. In
the end, with the link up, everything that was ever in the spool is to be in the cloud's store once, in each priority
in the order in which it was made, and in no hour more bytes are to have left than the budget allows. An hour passes in
a minute, and records are made so fast that the budget is what they wait for.

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

from benchmarks.cuts.component import THING, number_of  # noqa: E402
from benchmarks.cuts.fast_clock import FastClock  # noqa: E402
from benchmarks.cuts.reef import Cloud, Device, Flapping, Metered, account  # noqa: E402
from offline.broker import Broker  # noqa: E402
from offline.state import State  # noqa: E402

SPEED: Final = 60.0
PER_HOUR: Final = 150_000
PER_SECOND: Final = 15.0
VICTIMS: Final = ("component", "component", "nucleus", "both")
LONGEST_LIFE_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 600.0
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
    """In the spool, although the cloud has them."""
    twice: int
    out_of_order: int
    sent: int
    most: int
    seconds: float

    @property
    def good(self) -> bool:
        wrong = self.lost + self.left + self.twice + self.out_of_order
        return self.records > 0 and not wrong and self.most <= PER_HOUR


def run(*, lite: bool, kills: int, seed: int = 1, per_second: float = PER_SECOND) -> Figures:
    """Kill one device so often, and let it send what it has kept."""
    chance, broker, clock, started = random.Random(seed), None, FastClock(SPEED), time.monotonic()  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(State(Path(folder) / "state"))
        link = Metered(broker, THING, clock)
        with account(broker) as cloud:
            device = Device(Path(folder) / "device", link, lite=lite, arguments=["--speed", str(SPEED)])
            try:
                nucleus_kills, cuts = _torment(device, link, chance, kills, per_second)
                _drain(device, cloud)
            finally:
                device.close()
            return _judge(device, cloud, link, kills, nucleus_kills, cuts, time.monotonic() - started)


def _torment(device: Device, link: Metered, chance: random.Random, kills: int, per_second: float) -> tuple[int, int]:
    """Returns how often the nucleus was killed, and the link cut."""
    flapping, nucleus_kills, deck = Flapping(link, random.Random(chance.random())), 0, list[str]()  # noqa: S311
    arguments = [*device.arguments, "--per-hour", str(PER_HOUR)]
    for _ in range(kills):
        device.arguments = [*arguments, "--per-second", str(per_second)]
        device.start()
        moment = time.monotonic() + chance.uniform(0.02, LONGEST_LIFE_SECONDS)
        while time.monotonic() < moment:
            time.sleep(0.02)
            device.start()
        deck = deck or chance.sample(VICTIMS, len(VICTIMS))
        victims = deck.pop()
        if victims != "component":
            nucleus_kills += 1
            device.kill_nucleus(chance.uniform(0.0, 0.2))
        if victims != "nucleus":
            device.kill_component()
    device.kill_component()
    device.arguments = [*arguments, "--per-second", "0"]
    flapping.end()
    return nucleus_kills, flapping.cuts


def _drain(device: Device, cloud: Cloud) -> None:
    """With the link up and nothing new, wait until everything is with the cloud and the device knows."""
    deadline, expected = time.monotonic() + DRAIN_SECONDS, device.seen | device.journalled()
    while True:
        device.start()
        time.sleep(0.25)
        if expected <= cloud.kept or time.monotonic() > deadline:
            break
    time.sleep(SETTLE_SECONDS)
    device.kill_component()


def _judge(
    device: Device, cloud: Cloud, link: Metered, kills: int, nucleus_kills: int, cuts: int, seconds: float
) -> Figures:
    stored = cloud.records()
    kept = [(each.kind, number_of(each.kind, each.body)) for each in stored]
    expected = device.seen | device.journalled()
    disorder = 0
    for kind in KINDS:
        inorder = sorted((each for each in stored if each.kind == kind), key=lambda each: (each.boot, each.seq))
        pairs = pairwise((each.at, number_of(kind, each.body)) for each in inorder)
        disorder += sum(later[0] <= earlier[0] or later[1] <= earlier[1] for earlier, later in pairs)
    return Figures(
        kills=kills,
        nucleus_kills=nucleus_kills,
        cuts=cuts,
        records=len(expected),
        lost=len(expected - set(kept)),
        left=len(device.spooled()),
        twice=len(kept) - len(set(kept)),
        out_of_order=disorder,
        sent=cloud.came,
        most=link.most,
        seconds=seconds,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=500, help="of each nucleus's device")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    titles = ("nucleus", "kills", "of nucleus", "link cuts", "records", "lost", "left", "twice",
              "out of order", "sent again", "most bytes/hour", "budget", "seconds")  # fmt: skip
    print("  ".join(titles), flush=True)
    good = True
    for lite in (True, False):
        found = run(lite=lite, kills=given.kills, seed=given.seed)
        good &= found.good
        again = f"{found.sent / max(1, found.records) - 1:.1%}"
        cells = ("lite" if lite else "classic", found.kills, found.nucleus_kills, found.cuts,
                 found.records, found.lost, found.left, found.twice, found.out_of_order,
                 again, found.most, PER_HOUR, round(found.seconds))  # fmt: skip
        print("  ".join(f"{cell:>{len(title)}}" for cell, title in zip(cells, titles, strict=True)), flush=True)
    print("every record once and in order, within the budget" if good else "NOT WHAT IS ASKED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
