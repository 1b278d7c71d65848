"""Threads that begin late and lose their turn, as on a machine with other work: a test that takes for granted that a
thread has begun, or has ended, fails with it.

    python -m pytest -n 3 -p tests.late_threads tests/edge
"""

import random
import threading
import time
from typing import Any, Final

MOST_SECONDS: Final = 0.3
ONE_WAIT_IN: Final = 20

_chance = random.Random()  # not the one that is seeded anew for each test
_begin, _wait, _sleep = threading.Thread.start, threading.Condition.wait, time.sleep


def _pause() -> None:
    """Seldom long."""
    _sleep(_chance.random() ** 3 * MOST_SECONDS)


def _start(thread: threading.Thread) -> None:
    run = thread.run

    def late() -> None:
        _pause()
        run()

    thread.run = late  # type: ignore[assignment,method-assign]
    _begin(thread)


def _woken(condition: threading.Condition, *arguments: Any, **options: Any) -> bool:
    woken = _wait(condition, *arguments, **options)
    if _chance.randrange(ONE_WAIT_IN) == 0:
        _pause()
    return woken


threading.Thread.start = _start  # type: ignore[assignment,method-assign]
threading.Condition.wait = _woken  # type: ignore[assignment,method-assign]
