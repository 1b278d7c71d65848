"""Invocations at the same time, of which one at a time makes one call to the table, in an order that a test chooses."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any
from unittest.mock import patch

from reefloop import clients


class _Worker:
    """One invocation in a thread of its own."""

    def __init__(self, run: Callable[[], None], stopped: "SimpleQueue[_Worker]") -> None:
        self._run, self._stopped, self._go = run, stopped, threading.Semaphore(0)
        self.done = False
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            self.pause()
            self._run()
        except BaseException as error:
            self.error = error
        self.done = True
        self._stopped.put(self)

    def pause(self) -> None:
        """Wait for the next turn."""
        self._stopped.put(self)
        self._go.acquire()

    def turn(self) -> None:
        self._go.release()


class _Table:
    """The client of DynamoDB, which lets the invocation wait for its turn before each call."""

    def __init__(self, client: Any, wait: Callable[[], None]) -> None:
        self._client, self._wait = client, wait

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self._wait()
            return getattr(self._client, name)(**arguments)

        return call

    def get_paginator(self, name: str) -> "_Table":
        return _Table(self._client.get_paginator(name), self._wait)

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        pages = iter(self._client.paginate(**arguments))
        while True:
            self._wait()
            if (page := next(pages, None)) is None:
                return
            yield page


def interleave(runs: Sequence[Callable[[], None]], turns: Iterable[int], publish: Callable[..., None]) -> None:
    """Run them all at once; each turn is of the n-th of those that still run, then of the first.

    Args:
        publish: gets what is published, in place of AWS IoT.
    """
    stopped: SimpleQueue[_Worker] = SimpleQueue()
    workers = [_Worker(run, stopped) for run in runs]
    by_thread = {worker.thread: worker for worker in workers}
    table = _Table(clients.dynamodb(), lambda: _pause(by_thread))
    broker = type("Broker", (), {"publish": staticmethod(publish)})
    with patch.object(clients, "dynamodb", lambda: table), patch.object(clients, "iot_data", lambda: broker):
        for worker in workers:
            worker.thread.start()
            stopped.get(timeout=10)
        order = iter(turns)
        while running := [worker for worker in workers if not worker.done]:
            running[next(order, 0) % len(running)].turn()
            stopped.get(timeout=10)
    for worker in workers:
        worker.thread.join(10)
        if worker.error:
            raise worker.error


def _pause(by_thread: dict[threading.Thread, _Worker]) -> None:
    """What is asked from elsewhere, by the test itself, has its turn at once."""
    if worker := by_thread.get(threading.current_thread()):
        worker.pause()
