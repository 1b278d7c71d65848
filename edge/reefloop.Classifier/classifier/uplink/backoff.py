"""How long to wait: after a failure, and for an answer."""

import random
from typing import Final

SHORTEST_SECONDS: Final = 4.0
"""An answer is waited for so long at least: it passes two radios, a rule, and a function that may have to start."""
FIRST_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 60.0


class Backoff:
    """Exponential back-off with jitter: each pause is drawn from the upper half of one that doubles up to `last`.

    The jitter keeps a fleet that lost one cell tower from coming back in step:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("equal jitter").
    All times are a clock's `elapsed`, in seconds.
    """

    def __init__(self, first: float, last: float, *, source: random.Random | None = None) -> None:
        self._first, self._last = first, last
        self._random = source or random.Random()  # noqa: S311 - spreads, and guards nothing
        self._next, self._until = first, 0.0

    def failed(self, now: float) -> float:
        """Pause from now on; returns for how long."""
        pause = self._next * self._random.uniform(0.5, 1.0)
        self._next = min(2 * self._next, self._last)
        self._until = now + pause
        return pause

    def succeeded(self) -> None:
        """Pause no more, and begin with the shortest pause next time."""
        self._next, self._until = self._first, 0.0

    def skip(self) -> None:
        """End this pause, and let the next one be as long as it would have been."""
        self._until = 0.0

    def wait(self, now: float) -> float:
        """How much of the pause is left; 0.0 when there is none."""
        return max(0.0, self._until - now)


class RoundTrip:
    """How long an answer may take before it counts as lost: the estimate that TCP makes of its retransmission timeout.

    A smoothed mean of the measured times plus four times their smoothed deviation, doubled when an answer did not come
    in time until one is measured again, so that a link of many seconds does not make everything be sent twice:
    https://www.rfc-editor.org/rfc/rfc6298, sections 2 and 5.
    """

    def __init__(self) -> None:
        self._mean = self._deviation = 0.0
        self.timeout: float = FIRST_SECONDS
        """In seconds."""

    def measured(self, seconds: float) -> None:
        """An answer came to a message that was sent once, so that it is known to which sending it belongs."""
        if self._mean:
            self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
            self._mean += (seconds - self._mean) / 8
        else:
            self._mean, self._deviation = seconds, seconds / 2
        self.timeout = min(max(self._mean + 4 * self._deviation, SHORTEST_SECONDS), LONGEST_SECONDS)

    def missed(self) -> None:
        """No answer came in time to a message that was sent once."""
        self.timeout = min(2 * self.timeout, LONGEST_SECONDS)
