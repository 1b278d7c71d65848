"""Lives of the component, whole or without its eyes: then records come from nowhere.

The spool, its budget, the sender in its stage, the connection to the nucleus and the ration of exits are the
component's own in both. Without eyes, each record bears a number that no other has, and every number whose `add` has
returned is written to a journal that outlives a kill. Lives are forked from a process that has imported everything and
started nothing: to import takes longer than most of them last.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "edge" / "reefloop.Classifier")]

from classifier.budget import Budget  # noqa: E402
from classifier.messages import KINDS  # noqa: E402
from classifier.pipeline.stage import Stage, Step  # noqa: E402
from classifier.spool import Message, new_boot  # noqa: E402
from classifier.spool import open as open_spool  # noqa: E402
from classifier.uplink.exits import Exits  # noqa: E402
from classifier.uplink.nucleus import Nucleus  # noqa: E402
from classifier.uplink.sender import Sender  # noqa: E402

from benchmarks.cuts import eyes  # noqa: E402
from benchmarks.cuts.fast_clock import FastClock  # noqa: E402

THING: Final = "reef-1"
SPOOL_BYTES: Final = 64 * 1024 * 1024
PER_DAY: Final = 1_000_000_000
_ZERO: Final = {"frames": 0, "unreadable": 0, "dropped": 0, "model": "r1", "unknown": 0, "review": 0, "audit": 0}


def body(kind: str, number: int) -> dict[str, Any]:
    """A record of a kind that bears a number."""
    if kind == "alert":
        return {"species": "crab", "probability": 0.97, "frames": number, "visit_seconds": 1.5, "model": "r1-0a1b2c3d"}
    if kind == "summary":
        species = {
            name: {"visits": 2, "frames": number % 97, "seconds": 3.5, "best": 0.99} for name in ("crab", "squid")
        }
        return {**_ZERO, "seconds": 300.0, "frames": number, "species": species}
    model = {"version": "r1", "target": "", "runtime": "onnxruntime", "self_test": "passed", "reason": ""}
    return {
        **dict.fromkeys(("queue", "dropped", "unreadable", "disk_free_mib", "memory_mib", "clock_jumps"), 0),
        "model": model,
        "frames_per_second": 2.0,
        "latency_ms": {"p50": 20, "p99": 40, "max": 80},
        "temperature_c": None,
        "spool": {"records": 0, "frames": 0, "bytes": 0, "place": "disk", "reason": ""},
        "evicted": {},
        "sent": {"hour": 0, "day": 0, "hour_budget": 0, "day_budget": 0},
        "restarts": {},
        "configuration": "",
        "uptime_seconds": number,
    }


def number_of(kind: str, content: Mapping[str, Any]) -> int:
    """The number that a record bears."""
    return int(content["uptime_seconds" if kind == "health" else "frames"])


class Hastened:
    """A step in time that runs fast: its rests are as much shorter."""

    def __init__(self, step: Step, speed: float) -> None:
        self._step, self._speed = step, speed

    def step(self) -> float:
        return self._step.step() / self._speed

    def close(self) -> None:
        self._step.close()


def live(given: argparse.Namespace) -> None:
    clock = FastClock(given.speed)
    nucleus, exits = Nucleus(), Exits(given.work / "starts.json", clock)
    spool = open_spool(given.work / "spool", clock=clock, boot=new_boot(clock), max_bytes=SPOOL_BYTES)
    budget = Budget(spool, clock, per_hour=given.per_hour, per_day=PER_DAY)
    stage = Stage(
        "sender",
        lambda _: Hastened(Sender(nucleus, spool, budget, clock, THING, wake=lambda: stage.wake()), given.speed),
        clock=clock,
        limit_seconds=60.0,
    )
    stage.start()
    journal = os.open(given.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance, number, parent = random.Random(given.numbers), given.numbers, os.getppid()  # noqa: S311
    while os.getppid() == parent:
        time.sleep(chance.expovariate(given.per_second) if given.per_second else 0.05)
        if nucleus.lost.is_set() and not nucleus.connect() and exits.wait() == 0.0:
            os._exit(1)
        if given.per_second:
            kinds = chance.choices(KINDS, weights=(3, 1, 6), k=chance.choice((1, 1, 2, 5)))
            spool.add([Message(kind, body(kind, number + place)) for place, kind in enumerate(kinds)])
            lines = "".join(f"{kind} {number + place}\n" for place, kind in enumerate(kinds))
            os.write(journal, lines.encode())
            number += len(kinds)
            stage.wake()


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--numbers", type=int, required=True, help="the first number of this life")
    parser.add_argument("--speed", type=float, required=True, help="of the clock")
    parser.add_argument("--per-second", type=float, required=True, help="records to add, by the wall; 0 adds nothing")
    parser.add_argument("--per-hour", type=int, required=True, help="the budget, in bytes")
    parser.add_argument("--whole", action="store_true", help="the whole component, by a clock that is right")
    return parser.parse_args(arguments)


def serve() -> None:
    """Fork a life for every line that comes, with the arguments and the environment that it names; say its pid."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.environ |= asked["environment"]
            try:
                life = parsed(asked["arguments"])
                if life.whole:
                    os._exit(eyes.run(life, THING))
                live(life)
            finally:
                os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
