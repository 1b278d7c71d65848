"""The way of a frame: source, queue, worker, queue, spool. Each step is repeated by a stage, or called one by one."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from classifier import spool
from classifier.budget import Budget
from classifier.clock import Clock
from classifier.configuration import Configuration
from classifier.frames import Unreadable
from classifier.models.model import Model
from classifier.pipeline.fatal import InHand
from classifier.pipeline.health import MIB, Missed
from classifier.pipeline.memory import remember
from classifier.pipeline.queues import Latest, Queue
from classifier.pipeline.results import Results
from classifier.pipeline.worker import Broken, Taken, Work, Worker
from classifier.sources import Source
from classifier.spool import Entry, Spool

log = logging.getLogger(__name__)

FRAMES: Final = 8
"""That wait for the worker; each may hold megabytes."""
LIVE_FRAMES: Final = 4
"""Of a live source. More would only make a frame older before it is looked at."""
WORKS: Final = 64
"""That wait for the disk."""
WAIT_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 0.05


class SourceStep:
    """Takes frames from the source. A live one that is faster than the worker loses its oldest; others wait."""

    def __init__(
        self,
        source: Source,
        frames: Queue[Taken],
        *,
        missed: Missed,
        end: threading.Event,
        begin: Callable[[], bool] = lambda: True,
    ) -> None:
        """`begin` says when the frames of the source before are dealt with: two sources may share a folder."""
        self._source, self._frames, self._missed, self._end, self._begin = source, frames, missed, end, begin
        self._begun = False
        self._held: Taken | None = None

    def step(self) -> float:
        self._begun = self._begun or self._begin()
        if not self._begun:
            return IDLE_SECONDS
        if self._held is None:
            self._held = self._next()
        if self._held is None or self._end.is_set():
            return WAIT_SECONDS if self._source.exhausted else 0.0
        if self._source.live:
            self._missed.add(dropped=self._frames.push(self._held, limit=LIVE_FRAMES) is not None)
        elif not self._frames.offer(self._held, wait_seconds=WAIT_SECONDS):
            return 0.0
        self._held = None
        return 0.0

    def close(self) -> None:
        self._source.close()

    def _next(self) -> Taken | None:
        try:
            frame = self._source.next(self._end)
        except Unreadable as error:
            log.warning("what came is no frame: %s", error)
            self._missed.add(unreadable=1)
            return None
        return Taken(self._source, frame) if frame is not None else None


class WorkerStep:
    """Classifies one frame after another, once there is a model. `in_hand` is the one that it is at."""

    def __init__(
        self,
        worker: Worker,
        *,
        frames: Queue[Taken],
        works: Queue[Work],
        serving: Callable[[], Model | None],
        end: threading.Event,
        fatal: InHand | None = None,
    ) -> None:
        """`fatal` remembers files at which the process died; None for a component that files do not come to again."""
        self.in_hand: Taken | None = None
        self._worker, self._frames, self._works, self._serving, self._end = worker, frames, works, serving, end
        self._fatal = fatal
        self._done: list[Work] = []

    @property
    def idle(self) -> bool:
        return self.in_hand is None and not self._done

    def step(self) -> float:
        if not self._handed_on():
            return 0.0
        model = self._serving()
        taken = self._frames.take(wait_seconds=WAIT_SECONDS) if model else None
        # It may have changed while a frame was waited for.
        model = self._serving() or model
        if due := self._worker.look(model.package.version if model else ""):
            self._done.append(due)
        if model and taken:
            self._classify(taken, model)
        self._handed_on()
        return 0.0 if model else WAIT_SECONDS

    def close(self) -> None:
        """Hand on what is done, if there is room soon."""
        self._handed_on()

    def _classify(self, taken: Taken, model: Model) -> None:
        fatal = self._fatal if taken.frame.path is not None else None
        if fatal and not fatal.take(taken.frame.name):
            self._done.append(Work(taken, fault="the process ended at it again and again"))
            return
        self.in_hand = taken
        try:
            work = self._worker.handle(taken, model, wanted=self._wanted)
        except Broken as error:
            # Where there is no room, the file is what is left behind: what waits may be an alert.
            self._works.offer(Work(taken, fault=str(error)), wait_seconds=WAIT_SECONDS)
            raise
        finally:
            if fatal:
                fatal.done()
        if work and (work.entries or work.fault or work.result or not taken.source.live):
            self._done.append(work)
        self.in_hand = None

    def _wanted(self) -> bool:
        return not self._end.is_set()

    def _handed_on(self) -> bool:
        while self._done:
            work = self._done[0]
            if not self._works.offer(work, wait_seconds=WAIT_SECONDS, urgent=bool(work.entries)):
                return False
            self._done.pop(0)
        return True


@dataclass(frozen=True)
class Store:
    """What waits to be sent, and what may be: begun anew together, as the one keeps the other's ledger."""

    spool: Spool
    budget: Budget

    @classmethod
    def opened(cls, folder: Path, configuration: Configuration, clock: Clock) -> Self:
        """A new start of its own, with the numbers of records from 1 on."""
        size = configuration.spool_mib * MIB
        opened = spool.open(folder, clock=clock, boot=spool.new_boot(clock), max_bytes=size)
        hour, day = configuration.bytes_per_hour, configuration.bytes_per_day
        return cls(opened, Budget(opened, clock, per_hour=hour, per_day=day))

    def configure(self, configuration: Configuration) -> None:
        """Other bounds from now on."""
        self.spool.resize(configuration.spool_mib * MIB)
        self.budget.configure(per_hour=configuration.bytes_per_hour, per_day=configuration.bytes_per_day)


class SpoolStep:
    """Makes durable what waits, all in one transaction, and only then lets the frames leave their source."""

    def __init__(
        self,
        store: Store,
        works: Queue[Work],
        *,
        results: Results,
        missed: Missed,
        state: Path,
        spooled: Callable[[Sequence[Entry]], None],
        current: Callable[[], Store | None],
    ) -> None:
        """`state` is the file of the policy's memory; `spooled` is told what there is to send now; `current` is what
        the others work with by now."""
        self._store, self._works, self._results, self._missed = store, works, results, missed
        self._state, self._spooled, self._current = state, spooled, current
        self._configuration: Latest[Configuration] = Latest()

    def configure(self, configuration: Configuration) -> None:
        """Soon. Any thread may call it."""
        self._configuration.put(configuration)

    def step(self) -> float:
        if configuration := self._configuration.take():
            self._store.configure(configuration)
            self._results.configure(configuration.results_mib)
        works = self._works.waiting(wait_seconds=WAIT_SECONDS)
        entries = [entry for work in works for entry in work.entries]
        if entries:
            self._store.spool.add(entries)
        # From here on nothing of this is spooled a second time, whatever fails below.
        self._works.drop(works)
        if entries:
            self._spooled(entries)
        for state in [work.state for work in works if work.state is not None][-1:]:
            remember(self._state, state)
        self._results.add([work.result for work in works if work.result is not None])
        self._settle(works)
        return 0.0

    def close(self) -> None:
        self._results.close()
        if self._current() is not self._store:  # this step hung: the one that took over waits for the file
            self._store.spool.close()

    def _settle(self, works: Sequence[Work]) -> None:
        for work in works:
            if work.taken is None:
                continue
            source, frame = work.taken.source, work.taken.frame
            if not work.fault:
                source.finish(frame)
            elif source.set_aside(frame, work.fault):
                self._missed.add(unreadable=1)
