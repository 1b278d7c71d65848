"""A random frame of each interval, whatever it shows: what people say of these estimates the accuracy without bias.

Reservoir sampling with a reservoir of one (J. S. Vitter, "Random sampling with a reservoir", ACM TOMS 11, 1985,
algorithm R): the n-th frame of an interval replaces the candidate with probability 1/n, so that each of them is the
one drawn with the same probability. A drawn frame speaks for `of` frames and is to be weighted so.
"""

import random
from dataclasses import dataclass

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class AuditDraw:
    """The candidate is the interval's draw, one `of` so many frames."""

    of: int


class Audit:
    """The interval under way. It ends when `due` or `close` says so, and a frame until then belongs to it."""

    def __init__(self, per_hour: int, *, seed: int) -> None:
        self.per_hour = per_hour
        self._random = random.Random(seed)  # noqa: S311 - a sample, not a secret
        self._frames = 0
        self._began: float | None = None

    def saw(self, at: float) -> bool:
        """Whether this frame is the candidate now."""
        if self._began is None:
            self._began = at
        if not self.per_hour:
            return False
        self._frames += 1
        return self._random.random() * self._frames < 1

    def due(self, now: float) -> AuditDraw | None:
        """The draw, if the interval is over and had frames."""
        if self._began is None:
            self._began = now
        if self.per_hour and now - self._began < _HOUR_SECONDS / self.per_hour:
            return None
        return self.close(now)

    def close(self, now: float) -> AuditDraw | None:
        """End the interval here, if it had frames, and begin the next."""
        frames, self._frames, self._began = self._frames, 0, now
        return AuditDraw(frames) if frames and self.per_hour else None
