"""Tells the components beside this one of alerts, so that a lamp or a winch can act without any link."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

from classifier.clock import Clock
from classifier.uplink.nucleus import NotSent

log = logging.getLogger(__name__)

TOPIC: Final = "reefloop/alert"
IDLE_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.5
STALE_SECONDS: Final = 10.0
"""Whoever acts on an alert after so long acts on an animal that is gone."""
_WAITING: Final = 100


class Local(Protocol):
    """What is asked of a nucleus here."""

    def publish_locally(self, topic: str, message: Mapping[str, Any]) -> None: ...


class Announcer:
    """A step of its stage: the body of every alert, soon or never. Nothing of it is kept for another start."""

    def __init__(self, nucleus: Local, clock: Clock) -> None:
        self.missed = 0
        """Alerts that nobody could be told of in time."""
        self._nucleus, self._clock = nucleus, clock
        self._waiting: deque[tuple[float, Mapping[str, Any]]] = deque(maxlen=_WAITING)

    def tell(self, body: Mapping[str, Any]) -> None:
        """Have the next step tell of an alert. Any thread may call it."""
        self._waiting.append((self._clock.elapsed(), body))

    def step(self) -> float:
        """Tell of what waits; returns the seconds until that is worth another try."""
        while self._waiting:
            told_at, body = self._waiting.popleft()
            if self._clock.elapsed() - told_at > STALE_SECONDS:
                self.missed += 1
                continue
            try:
                self._nucleus.publish_locally(TOPIC, body)
            except NotSent as error:
                log.warning("the components beside this one are not told of an alert yet: %s", error)
                self._waiting.appendleft((told_at, body))
                return RETRY_SECONDS
            except ValueError:
                log.exception("nobody beside this one can be told of an alert")
                self.missed += 1
        return IDLE_SECONDS

    def close(self) -> None:
        """It holds nothing open."""
