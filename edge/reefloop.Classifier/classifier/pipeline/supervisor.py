"""The component: stages that pass frames on, and a main thread that sees to it that they all go on.

source ─► frames ─► worker ─► works ─► spool ─► sender, uploader, announcer
                      ▲         ▲
                   models     health               configuration: from the nucleus, to all of them
"""

import contextlib
import logging
import queue
import time
from typing import Final

from classifier import sources
from classifier.models.proof import Limits
from classifier.pipeline.chores import configured
from classifier.pipeline.health import memory_mib
from classifier.pipeline.parts import Parts, Surroundings
from classifier.pipeline.stage import Stage
from classifier.pipeline.watchdog import LONGEST_LIMIT_SECONDS, Watchdog
from classifier.pipeline.worker import Work
from classifier.uplink.exits import Exits

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
LAST_WORDS_SECONDS: Final = 4.0
"""Of the five that the component has between SIGTERM and the end."""
CLOSING_SECONDS: Final = 0.1
LOST_SECONDS: Final = 15.0
"""A connection to the nucleus that is not mended by then never will be."""
MEMORY_SECONDS: Final = 30.0
"""A process that holds too much memory for so long will not give it back."""
LIMITS: Final = {
    "source": 60.0,
    "worker": 30.0,  # more where a frame may take longer
    "spool": 60.0,
    "sender": 60.0,
    "uploader": 900.0,  # a frame over a thin link
    "models": LONGEST_LIMIT_SECONDS,  # a model that is copied and proved on a slow disk
    "health": 60.0,
    "configuration": 60.0,
    "announcer": 60.0,
}
"""Seconds after which a stage counts as stuck."""
_OF_A_MODEL: Final = ("worker", "models")
"""Stages that hang for what a model does."""


class Supervisor:
    """Runs the component until it is told to stop, or nothing but a new process can help."""

    def __init__(self, around: Surroundings) -> None:
        around.work.mkdir(parents=True, exist_ok=True)
        self.parts = Parts(around, self.wake)
        self.parts.restarts = lambda: {name: stage.restarts for name, stage in self.stages.items()}
        self.parts.troubles = lambda: self._troubles
        self._around, self._clock = around, around.clock
        self._exits = Exits(around.work / "starts.json", around.clock)
        self.stages = {
            name: Stage(name, build, clock=around.clock, limit_seconds=LIMITS[name])
            for name, build in self.parts.builders.items()
        }
        self._watchdog = Watchdog(list(self.stages.values()), clock=around.clock, before=self._give_up)
        # Not an Event: a signal's handler would wait for a lock that the main thread, which it interrupts, holds.
        self._stop: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._configuration = self.parts.configuration
        self._troubles: dict[str, str] = {}
        self._lost_at: float | None = None
        self._moderate_at = around.clock.elapsed()
        """When the process last held no more memory than it may."""

    def stop(self) -> None:
        """End soon. May be called by a signal handler and by any thread."""
        self._stop.put(None)

    def run(self) -> int:
        """Work until told to stop; the exit code of the process."""
        self.start()
        reason = ""
        while not reason and not self._told_to_stop():
            self.look()
            reason = self.beyond_help()
        if reason:
            log.error("the process ends, for another to begin: %s", reason)
        if self.parts.keeper is not None and not self.model_is_suspect:
            self.parts.keeper.ended_cleanly()
        self.last_words()
        return 1 if reason else 0

    def start(self) -> None:
        """Begin every stage, by the configuration that the nucleus has, or else the one that was kept."""
        configured(self._around.nucleus, self.parts.configurations)
        self._take_up()
        for stage in self.stages.values():
            stage.start()

    def look(self) -> None:
        """See to it that everything goes on; what `run` does every second."""
        if self._watchdog.look():
            self.parts.health_wanted.set()
        if self.parts.reconfigured.is_set():
            self.parts.reconfigured.clear()
            if self._take_up():
                self.stages["source"].renew()
        troubles = {name: stage.trouble for name, stage in self.stages.items() if stage.trouble}
        before, self._troubles = self._troubles, troubles
        if troubles.keys() - before.keys():
            self.parts.health_wanted.set()

    def beyond_help(self) -> str:
        """Why only a new process can help; empty if none is needed, or while none can be afforded."""
        reason = self._too_much_memory() or self._watchdog.hopeless
        if self._nucleus_is_lost():
            reason = "the nucleus is lost"
        return reason if reason and self._exits.wait() == 0 else ""

    @property
    def model_is_suspect(self) -> bool:
        """Whether a model on probation may be why a new process is needed: a lost nucleus or a camera that hangs says
        nothing against it."""
        return bool(self._too_much_memory()) or self._watchdog.hopeless.startswith(_OF_A_MODEL)

    def last_words(self) -> None:
        """Close the window and have the spool take it all. Sending is not waited for: the next start sees to it."""
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        for name in self.stages.keys() - {"spool"}:
            self.stages[name].stop()
        # One that hangs in the runtime is in nobody's way: what it comes back with is not wanted.
        self.stages["worker"].join(LAST_WORDS_SECONDS / 2)
        if self.parts.worker is not None:
            self.parts.works.offer(self.parts.worker.finish(), wait_seconds=deadline - time.monotonic())
        self.parts.works.emptied(wait_seconds=deadline - time.monotonic())
        self.stages["spool"].stop()
        self.stages["spool"].join(deadline - time.monotonic())
        # A thread that hangs may still come back to the spool.
        if self.parts.store is not None and all(stage.join(CLOSING_SECONDS) for stage in self.stages.values()):
            self.parts.store.spool.close()

    def wake(self, name: str) -> None:
        """A stage has something to do. Any thread may call it."""
        if name in self.stages:
            self.stages[name].wake()

    def _take_up(self) -> bool:
        """Work by the configuration that is in force now; says whether it asks for another source."""
        before, self._configuration = self._configuration, self.parts.configuration
        self.parts.apply(self._configuration)
        frame_seconds = Limits.of(self._configuration).frame_seconds
        self.stages["worker"].limit_seconds = min(frame_seconds, LONGEST_LIMIT_SECONDS)
        used = "source", *sources.USED[before.source.partition(":")[0]]
        return any(getattr(before, name) != getattr(self._configuration, name) for name in used)

    def _told_to_stop(self) -> bool:
        """Whether to stop, after a second or as soon as that is told."""
        with contextlib.suppress(queue.Empty):
            self._stop.get(timeout=LOOK_SECONDS)
            return True
        return False

    def _too_much_memory(self) -> str:
        """What is held, once it has been too much for a while: to decode a large picture takes much for a moment."""
        memory, allowed, now = memory_mib(), self._configuration.memory_mib, self._clock.elapsed()
        if memory <= allowed:
            self._moderate_at = now
        if now - self._moderate_at < MEMORY_SECONDS:
            return ""
        return f"{memory:.0f} MiB of memory are held; {allowed} are allowed"

    def _nucleus_is_lost(self) -> bool:
        if self._around.nucleus is None or not self._around.nucleus.lost.is_set():
            self._lost_at = None
            return False
        now = self._clock.elapsed()
        self._lost_at = now if self._lost_at is None else self._lost_at
        return now - self._lost_at > LOST_SECONDS

    def _give_up(self, stage: Stage) -> None:
        """A stage is stuck: let go of what it holds."""
        step = self.parts.worker_step
        if stage.name == "worker" and step is not None and step.in_hand is not None:
            self.parts.works.offer(Work(step.in_hand, fault="the model did not come back from it"), wait_seconds=0.0)
        if stage.name == "spool":
            self.parts.store = None
