"""Notices what does not come back: a camera, a runtime, a disk or a link on which a thread hangs."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from classifier.clock import Clock
from classifier.pipeline.stage import Stage

log = logging.getLogger(__name__)

HOUR_SECONDS: Final = 3600.0
MOST_PER_HOUR: Final = 3
"""A stage that was given up so often in an hour will not come back by itself: only a new process helps."""
LONGEST_LIMIT_SECONDS: Final = 1500.0
"""For a stage that may hang; two of them pass within an hour, between the first time that it is given up and the third.
"""
STANDSTILL_SECONDS: Final = 10.0
"""The watchdog looks every second; when it did not for so long, nothing ran (a suspended device, SIGSTOP)."""


class Watchdog:
    """Replaces stages whose heartbeat is late. `hopeless` names what cannot be helped by that any more."""

    def __init__(self, stages: Sequence[Stage], *, clock: Clock, before: Callable[[Stage], None]) -> None:
        """`before` is called with a stage that is about to be given up, to let go of what the stage shares."""
        self.hopeless = ""
        self._stages, self._clock, self._before = stages, clock, before
        self._given_up: dict[str, deque[float]] = {stage.name: deque(maxlen=MOST_PER_HOUR) for stage in stages}
        self._looked_at = clock.elapsed()

    def look(self) -> list[str]:
        """Replace every stage that is stuck; returns their names."""
        now = self._clock.elapsed()
        stood_still, self._looked_at = now - self._looked_at > STANDSTILL_SECONDS, now
        if stood_still:
            for stage in self._stages:
                stage.forgive()
            return []
        stuck = [stage for stage in self._stages if stage.stuck]
        for stage in stuck:
            self._give_up(stage, now)
        return [stage.name for stage in stuck]

    def _give_up(self, stage: Stage, now: float) -> None:
        log.error("%s has not been heard of for %g seconds and is replaced", stage.name, stage.limit_seconds)
        times = self._given_up[stage.name]
        times.append(now)
        if len(times) == MOST_PER_HOUR and now - times[0] < HOUR_SECONDS:
            self.hopeless = f"{stage.name} was stuck {MOST_PER_HOUR} times within an hour"
        self._before(stage)
        stage.replace()
