"""A stage: a step that a thread of its own repeats, and that does not take the others along when it fails."""

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from classifier.clock import Clock
from classifier.masking import masked

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 60.0


class Step(Protocol):
    """What a stage does. A test, a replay and a simulation call `step` themselves, without a thread."""

    def step(self) -> float:
        """Do what there is to do, in little more than a second; returns the seconds until there may be more."""

    def close(self) -> None:
        """Let go of files and connections. May be called by a thread that was given up long ago."""


class Stage:
    """Repeats a step in a thread until told to stop.

    A step that raises is built anew after a pause that doubles from one second to a minute. A step that does not come
    back can only be given up: Python cannot end a thread, so `replace` leaves it behind, tells it to stop for the day
    when it comes back, and starts another with new objects.
    """

    def __init__(
        self, name: str, build: Callable[[threading.Event], Step], *, clock: Clock, limit_seconds: float
    ) -> None:
        """`build` makes the step; the event that it is given is set once that step shall do nothing more.
        `limit_seconds` is how long a step may take before it counts as stuck."""
        self.name, self.limit_seconds = name, limit_seconds
        self.restarts = 0
        self._build, self._clock = build, clock
        self._life: _Life | None = None

    @property
    def trouble(self) -> str:
        """Why the last step failed; empty once one has worked again."""
        return self._life.trouble if self._life else ""

    @property
    def ended(self) -> bool:
        return self._life is None or not self._life.is_alive()

    @property
    def stuck(self) -> bool:
        """Whether the thread should have been heard of, or is gone."""
        return self._life is not None and (self.ended or self._clock.elapsed() > self._life.expected_by)

    def start(self) -> None:
        self._life = _Life(self, self._build, self._clock)
        self._life.start()

    def forgive(self) -> None:
        """The whole process stood still; the stage has its full limit again."""
        if self._life is not None:
            self._life.expect(0.0)

    def renew(self) -> None:
        """Begin with new objects, as something else is wanted; the old ones end when their step is done."""
        self.stop()
        self.start()

    def replace(self) -> None:
        """Give up the thread, stuck as it is, and begin with new objects."""
        self.restarts += 1
        self.renew()

    def wake(self) -> None:
        """There may be something to do before the time that the step named."""
        if self._life is not None:
            self._life.awake.set()

    def stop(self) -> None:
        if self._life is not None:
            self._life.end.set()
            self._life.awake.set()

    def join(self, seconds: float) -> bool:
        """Whether the thread came to its end in time."""
        if self._life is not None:
            self._life.join(max(0.0, seconds))
        return self.ended


class _Life(threading.Thread):
    """One thread of a stage, with its own objects and its own end."""

    def __init__(self, stage: Stage, build: Callable[[threading.Event], Step], clock: Clock) -> None:
        super().__init__(name=stage.name, daemon=True)
        self.end, self.awake = threading.Event(), threading.Event()
        self.trouble = ""
        self._stage, self._build, self._clock = stage, build, clock
        self._failed_at, self._pause_seconds = 0.0, FIRST_PAUSE_SECONDS
        self.expect(0.0)

    def expect(self, rest_seconds: float) -> None:
        """The heartbeat: when the thread is to be heard of again at the latest."""
        self.expected_by = self._clock.elapsed() + rest_seconds + self._stage.limit_seconds

    def run(self) -> None:
        while not self.end.is_set():
            try:
                step = self._build(self.end)
                try:
                    self._repeat(step)
                finally:
                    step.close()
            # Whatever it is, the other stages go on and this one tries again.
            except Exception as error:
                self._failed(error)

    def _repeat(self, step: Step) -> None:
        while not self.end.is_set():
            self.expect(0.0)
            rest_seconds = step.step()
            if self.trouble and self._clock.elapsed() - self._failed_at > self._pause_seconds:
                self._recovered()
            if rest_seconds > 0:
                self._rest(rest_seconds)

    def _rest(self, seconds: float) -> None:
        self.expect(seconds)
        self.awake.wait(seconds)
        self.awake.clear()

    def _failed(self, error: Exception) -> None:
        if self.end.is_set():
            return
        trouble = masked(f"{type(error).__name__}: {error}")
        if trouble != self.trouble:
            log.warning("%s failed and starts anew: %s", self.name, trouble)
        self.trouble = trouble
        self._stage.restarts += 1
        self._failed_at = self._clock.elapsed()
        self.expect(self._pause_seconds)
        self.end.wait(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LAST_PAUSE_SECONDS)

    def _recovered(self) -> None:
        """It has worked for longer than the pause before it: one that fails at every other step gets no such credit."""
        log.info("%s works again", self.name)
        self.trouble, self._pause_seconds = "", FIRST_PAUSE_SECONDS
