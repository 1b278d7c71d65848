"""How far apart the frames are: as observed, since a busy device classifies fewer than it was told to."""

from collections import deque
from typing import Final

from classifier.configuration import Configuration

_REMEMBERED: Final = 8
"""Intervals. A faster rate is noticed after three of them, a slower one after six."""


class Pace:
    """The interval between frames, unmoved by a camera that pauses, or that sends bursts when something moves."""

    def __init__(self, configuration: Configuration) -> None:
        still = configuration.source.startswith("still:")
        self.interval_seconds = configuration.still_seconds if still else 1 / configuration.frames_per_second
        """The lower quartile of the last few; until there are two frames, the one that is configured."""
        self.since_last_seconds = 0.0
        """Between the last two frames."""
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=_REMEMBERED)

    def saw(self, at: float) -> None:
        """A frame came."""
        since = at - self._last if self._last is not None else 0.0
        self._last = at
        self.since_last_seconds = max(since, 0.0)
        if since > 0:
            self._intervals.append(since)
            ordered = sorted(self._intervals)
            self.interval_seconds = ordered[len(ordered) // 4]
