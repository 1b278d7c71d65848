"""Which frames are worth a person's look. Pure: it knows neither clock nor network."""

from collections import deque
from dataclasses import dataclass, field

HOUR_SECONDS = 3600.0


@dataclass
class ReviewPolicy:
    """Frames that the model is unsure of go to review, at most so many in any 60 minutes."""

    frames_per_hour: int
    _sent_at: deque[float] = field(default_factory=deque)

    def wants(self, *, probability: float, uncertain_below: float, now_seconds: float) -> bool:
        """Whether this frame goes to review; a yes counts against the limit.

        Args:
            probability: the calibrated probability of the best label.
            uncertain_below: the model's own bound under which it is unsure.
            now_seconds: a clock that never goes back.
        """
        while self._sent_at and now_seconds - self._sent_at[0] >= HOUR_SECONDS:
            self._sent_at.popleft()
        if probability >= uncertain_below or len(self._sent_at) >= self.frames_per_hour:
            return False
        self._sent_at.append(now_seconds)
        return True
