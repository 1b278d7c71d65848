"""A component that spools and says on standard output what was promised to it, until it is killed.

python child.py <folder> <number of the first alert>
"""

import random
import sys
from pathlib import Path

from classifier import spool
from classifier.budget import Budget
from classifier.clock import SystemClock
from classifier.messages import Ack

from tests.edge.any_message import alerts, message, upload


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    clock, draw = SystemClock(), random.Random(first)
    boot = spool.new_boot(clock)
    spooled = spool.open(folder, clock=clock, boot=boot, max_bytes=1024 * 1024)
    budget = Budget(spooled, clock, per_hour=10_000_000, per_day=10_000_000)
    say(f"started {spooled.place} {spooled.trouble}")
    for n in range(10_000):
        frames = [upload(f"{first}-{n}", size=draw.randrange(1, 40_000), value=draw.random())]
        spooled.add([*alerts(3, first=first + 3 * n), message("summary", n), *frames[: draw.randrange(2)]])
        say(f"added {first + 3 * n + 2}")
        if draw.random() < 0.3:
            say(f"spending {n}")
            if budget.spend("alert", n + 1):
                say(f"spent {n + 1}")
        if draw.random() < 0.2:
            spooled.acknowledge(Ack(boot, "summary", n))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


main()
