"""Steps with names: how long each took, and which one it was when something went wrong."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from console.errors import Failure, Refusal
from console.screen import Screen

LIMIT_SECONDS: Final = 600.0
"""Something hangs by then: two cores take three minutes, or near to five where others use them too. A slow laptop is no
failure of the loop."""


class OutOfTime(BaseException):
    """All steps together took too long. No Exception: nothing on the way, a retry say, may take it for its own."""


class StepFailed(Failure):
    """A step of the demo did not succeed; the message says which and why."""


@dataclass
class Steps:
    """The steps so far. Names are unique; a step that runs beside others is measured all the same."""

    screen: Screen
    started: float
    """time.monotonic() when the command began."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def total_seconds(self) -> float:
        return time.monotonic() - self.started

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step and say so.

        Raises:
            StepFailed: the step raised anything but an interrupt.
        """
        self.screen.say(f"[{self.total_seconds:6.1f} s] {name}", style="bold")
        started = time.monotonic()
        try:
            yield
        except (StepFailed, Refusal):
            raise
        except OutOfTime as error:
            raise StepFailed(f"step {name!r} was not done: {error}") from error
        except Exception as error:
            raise StepFailed(f"step {name!r} failed: {error or type(error).__name__}") from error
        finally:
            self.seconds[name] = round(time.monotonic() - started, 1)
            self.screen.clear()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the main thread when the block takes longer."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime(f"the demo took longer than {LIMIT_SECONDS:.0f} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def off_the_clock() -> Iterator[None]:
    """Let time pass that the limit does not count: a person takes what they need."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
