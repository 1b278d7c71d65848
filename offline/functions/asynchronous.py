"""The queue that an asynchronous invocation goes through.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html: an event waits while its function is throttled. The
retries of events that failed, and destinations, are not there.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

from moto.awslambda.models import LambdaFunction

from offline.api import ServiceError

_log = logging.getLogger(__name__)

_THREADS: Final = 8  # a laptop, which each event under way costs a process of its own
_THROTTLED_SECONDS: Final = 0.05


class Events:
    """Events on their way to functions. Safe to use from any thread."""

    def __init__(self, run: Callable[[LambdaFunction, Any], object]) -> None:
        self._run = run
        self._waiting: SimpleQueue[tuple[LambdaFunction, Any] | None] = SimpleQueue()
        self._threads = 0
        self._closed = False
        self._changing = threading.Lock()

    def put(self, function: LambdaFunction, event: Any) -> None:
        """Have a function run with an event, soon."""
        with self._changing:
            if self._closed:
                return
            self._waiting.put((function, event))
            if self._threads < _THREADS:
                self._threads += 1
                threading.Thread(target=self._work, daemon=True).start()

    def close(self) -> None:
        """Drop what waits."""
        with self._changing:
            self._closed = True
            while not self._waiting.empty():
                self._waiting.get()
            for _ in range(self._threads):
                self._waiting.put(None)

    def _work(self) -> None:
        while (order := self._waiting.get()) is not None:
            function, event = order
            try:
                self._run(function, event)
            except ServiceError as error:
                if error.code == "TooManyRequestsException":
                    time.sleep(_THROTTLED_SECONDS)
                    self.put(function, event)
                else:
                    _log.warning("an event for %s is lost: %s", function.function_name, error)
            except Exception:
                _log.exception("an event for %s is lost", function.function_name)
