"""No trouble fills a device's log, however often it comes: a camera that sends ten thousand broken files, a link that
is down for a week."""

import logging
import threading
from dataclasses import dataclass
from typing import Final

from classifier.clock import Clock

BURST: Final = 5
"""Lines of one kind that may come at once,"""
PAUSE_SECONDS: Final = 600.0
"""and how long it takes until there may be one more."""
_MOST_KINDS: Final = 1000
"""A library that formats its messages itself makes a kind of each."""


@dataclass(slots=True)
class _Kind:
    allowance: float
    at: float
    left_out: int = 0


class Ration(logging.Filter):
    """Of a handler. Lines are of one kind if they differ only in what is filled in: in what, the first ones show."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._lock = clock, threading.Lock()
        self._kinds: dict[tuple[str, int, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be written; it then says how many like it were not."""
        now, name = self._clock.elapsed(), (record.name, record.levelno, str(record.msg))
        with self._lock:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            kind = self._kinds.setdefault(name, _Kind(BURST, now))
            kind.allowance, kind.at = min(kind.allowance + (now - kind.at) / PAUSE_SECONDS, BURST), now
            if kind.allowance < 1:
                kind.left_out += 1
                return False
            kind.allowance -= 1
            left_out, kind.left_out = kind.left_out, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more like it before)", ()
        return True
