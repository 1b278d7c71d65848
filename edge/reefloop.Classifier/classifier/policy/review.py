"""Which frames a person should see: those that the model learns most from, so many an hour.

The limit is a token bucket: a quarter of the hour's frames may go at once, and the rest is earned evenly. So any 60
minutes see the limit at most, a burst leaves three quarters for the rest of the hour, and constant doubt is sampled all
day at nearly the full rate. Choosing the most uncertain of an hour instead would hold frames back for that hour, or
need to know what is still to come.

Half of what may go at once is kept for uncertain frames: whatever drifts by all day is unknown, and must not cost a
person the frames between two species.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from classifier.configuration import Configuration
from classifier.policy.sighting import Sighting

UNCERTAIN: Final = "uncertain"
UNKNOWN: Final = "unknown"

_HOUR_SECONDS: Final = 3600.0


def uncertain(sighting: Sighting, configuration: Configuration) -> bool:
    """Whether the model doubts, by any measure. One that is no number is doubt too."""
    certain = sighting.margin >= configuration.margin_below and sighting.entropy <= configuration.entropy_above
    return sighting.unsure or not certain


class Review:
    """The hour's allowance. Being off earns nothing: time between two starts of the component is not measured."""

    def __init__(self, per_hour: int) -> None:
        self.limit(per_hour)
        self._allowance = float(self._burst)
        self._earned_at: float | None = None
        self._last: dict[str, float] = {}

    def limit(self, per_hour: int) -> None:
        """In any 60 minutes; while it is being changed, the larger of both."""
        self._burst = math.ceil(per_hour / 4)
        # In less than an hour at most burst + rate * hour - 1 whole tokens are spent after the first.
        self._per_second = (per_hour - self._burst + 1) / _HOUR_SECONDS if per_hour else 0.0

    def takes(self, reason: str, at: float, *, apart_seconds: float) -> bool:
        """Whether a frame goes to review now; a yes is counted. Frames of one reason are `apart_seconds` or more apart:
        a doubtful animal changes its label from frame to frame."""
        if at - self._last.get(reason, -math.inf) < apart_seconds:
            return False
        since = at - self._earned_at if self._earned_at is not None else 0.0
        self._earned_at = at
        self._allowance = min(self._allowance + max(since, 0.0) * self._per_second, self._burst)
        kept = self._burst // 2 if reason == UNKNOWN else 0
        if self._allowance < 1 + kept:
            return False
        self._allowance -= 1
        self._last[reason] = at
        return True

    def state(self) -> dict[str, Any]:
        """What must outlive the process for the limit to hold."""
        return {"allowance": self._allowance}

    def restore(self, state: object) -> None:
        """Go on from a saved state. None at all is a device's first start; what cannot be read is taken for spent."""
        if not state:
            return
        allowance = state.get("allowance") if isinstance(state, Mapping) else None
        if isinstance(allowance, bool) or not isinstance(allowance, int | float) or not allowance >= 0:
            allowance = 0.0
        self._allowance = float(min(allowance, self._burst))
