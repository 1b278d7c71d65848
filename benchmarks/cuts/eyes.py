"""The whole component, with its supervisor and all of its stages, on a camera and a model that are made up.

What they see is drawn: animals of a few species that come and go, so that alerts, summaries and health are made at the
pace of a benchmark.
"""

import argparse
import os
import random
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from classifier.clock import Clock, SystemClock
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.messages import Record
from classifier.models.model import Answer
from classifier.models.outcome import Outcome
from classifier.pipeline.parts import Surroundings
from classifier.pipeline.stage import Step
from classifier.pipeline.steps import Store
from classifier.pipeline.supervisor import Supervisor
from classifier.spool import Spool, Stream
from classifier.uplink.nucleus import Nucleus
from classifier.uplink.sender import Sender

SPECIES: Final = ("crab", "squid", "turtle")
FRAMES_PER_SECOND: Final = 50.0
PER_HOUR: Final = 2_000_000
SETTINGS: Final[dict[str, Any]] = {
    "bytes_per_hour": PER_HOUR,
    "watch_list": ["crab", "squid"],
    "visit_gap_seconds": 0.1,
    "summary_seconds": 0.3,
    "health_seconds": 1.0,
    "poll_seconds": 0.05,
}
"""What the component is told by its nucleus."""


class Camera:
    """A live one: a few frames of one animal, then nothing for a moment."""

    live, exhausted = True, False

    def __init__(self, _configuration: Configuration, _work: Path, clock: Clock) -> None:
        self._clock, self._chance = clock, random.Random()  # noqa: S311
        self._left, self._species = 0, ""

    def next(self, stop: threading.Event) -> Frame | None:
        if not self._left:
            self._left, self._species = self._chance.randint(3, 8), self._chance.choice(SPECIES)
            stop.wait(0.15)
        self._left -= 1
        stop.wait(1 / FRAMES_PER_SECOND)
        return Frame(self._species, self._clock.elapsed(), content=self._species.encode())

    def finish(self, _frame: Frame) -> None:
        """There are no files."""

    def set_aside(self, _frame: Frame, _reason: str) -> bool:
        return True

    def close(self) -> None:
        """It holds nothing open."""


class Model:
    """Right, and sure of it."""

    package = SimpleNamespace(version="r1", target="")
    runtime, notes = "none", ""

    def classify(self, frame: Frame) -> Answer:
        return Answer(frame.name, probability=0.99, margin=0.98, entropy=0.05, unsure=False, unknown=False)


class Keeper:
    """Has one model, which passed."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.serving: Any = None

    def start(self) -> Outcome | None:
        self.serving = Model()
        return Outcome("r1", self.serving)

    def poll(self) -> Outcome | None:
        return None

    def reload(self) -> None:
        """It is the same."""

    def configure(self, _configuration: Configuration) -> None:
        """Nothing of it matters here."""

    def ended_cleanly(self) -> None:
        """Nobody is on probation."""


class Blind(Camera):
    """One that sees nothing, while what waits is sent."""

    def next(self, stop: threading.Event) -> Frame | None:
        stop.wait(0.5)
        return None


class Witness:
    """A spool that writes into a journal what it is seen to hold, by the names that the cloud gives records."""

    def __init__(self, spool: Spool, journal: Path) -> None:
        self._spool = spool
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def records(self, stream: Stream, **which: int) -> list[Record]:
        found = self._spool.records(stream, **which)
        lines = "".join(f"{stream.kind}#{stream.boot}#{record.seq:010d}\n" for record in found)
        os.write(self._journal, lines.encode())
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)


def run(given: argparse.Namespace, thing: str) -> int:
    """One life of the component; the exit code."""
    clock, nucleus, keeper = SystemClock(), Nucleus(), Keeper

    def send(store: Store) -> Step:
        spool = cast(Spool, Witness(store.spool, given.journal))
        return Sender(nucleus, spool, store.budget, clock, thing, wake=lambda: made.wake("sender"))

    made = Supervisor(
        Surroundings(
            thing=thing,
            work=given.work,
            model=given.work / "model",
            clock=clock,
            nucleus=nucleus,
            sender=send,
            source=Camera if given.per_second else Blind,
            keeper=keeper,  # type: ignore[arg-type]
        )
    )
    return made.run()
