"""Stages and what lies between them: a step that a thread of its own repeats, and bounded queues."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, Protocol, TypeVar

from classifier.clock import Clock

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 60.0

Item = TypeVar("Item")


class Step(Protocol):
    """What a stage does. A test, a replay and a simulation call `step` themselves, without a thread."""

    def step(self) -> float:
        """Do what there is to do, in little more than a second; returns the seconds until there may be more."""

    def close(self) -> None:
        """Let go of files and connections. May be called by a thread that was given up long ago."""


class Queue(Generic[Item]):
    """A bounded queue between two stages. Its reader may look before it takes: what it was doing when it failed is
    still there for the one that replaces it.

    Whoever waits is woken for several items at once where that harms nobody: each wake of a thread costs the others
    the interpreter's lock for a moment, and a frame can take less than a millisecond.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._items: deque[Item] = deque()
        self._urgent = False
        lock = threading.Lock()
        self._came, self._went = threading.Condition(lock), threading.Condition(lock)

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: Item, *, wait_seconds: float, urgent: bool = True) -> bool:
        """Put an item in as soon as there is room; False when there was none for so long.

        A reader that is `waiting` is woken by one that is urgent, or once the queue is half full.
        """
        with self._went:
            if len(self._items) >= self.limit and not self._went.wait_for(self._has_room, wait_seconds):
                return False
            self._put(item, urgent=urgent)
            return True

    def push(self, item: Item, *, limit: int | None = None) -> Item | None:
        """Put an item in; a queue that is full, or holds `limit`, gives up its oldest for it, which is returned."""
        with self._came:
            full = len(self._items) >= (self.limit if limit is None else limit)
            oldest = self._items.popleft() if full else None
            self._put(item, urgent=True)
            return oldest

    def take(self, *, wait_seconds: float) -> Item | None:
        """The oldest item; None when none came for so long."""
        with self._came:
            if not self._items and not self._came.wait_for(self._items.__len__, wait_seconds):
                return None
            item = self._items.popleft()
            self._made_room()
            return item

    def waiting(self, *, wait_seconds: float) -> tuple[Item, ...]:
        """Every item, oldest first, as soon as one of them is urgent or the queue is half full, or after so long; they
        stay until `drop`."""
        with self._came:
            self._came.wait_for(self._is_time, wait_seconds)
            self._urgent = False
            return tuple(self._items)

    def drop(self, done: Iterable[Item]) -> None:
        """Forget the oldest items, which are dealt with. A reader that was replaced meanwhile finds others there."""
        with self._went:
            for item in done:
                if self._items and self._items[0] is item:
                    self._items.popleft()
            self._made_room()

    def hurry(self) -> None:
        """What is there is urgent now."""
        with self._came:
            self._urgent = bool(self._items)
            self._came.notify_all()

    def emptied(self, *, wait_seconds: float) -> bool:
        """Whether every item is taken, by then."""
        self.hurry()
        with self._went:
            return self._went.wait_for(lambda: not self._items, max(0.0, wait_seconds))

    def _put(self, item: Item, *, urgent: bool) -> None:
        self._items.append(item)
        self._urgent = self._urgent or urgent
        if urgent or self._is_time():
            self._came.notify_all()

    def _made_room(self) -> None:
        if self._has_room():
            self._went.notify_all()

    def _is_time(self) -> bool:
        return self._urgent or 2 * len(self._items) >= self.limit

    def _has_room(self) -> bool:
        """For whoever had to wait: half of the queue."""
        return 2 * len(self._items) <= self.limit


class Latest(Generic[Item]):
    """Room for one item: a newer one takes the place of one that was not taken. Any thread may use it."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque(maxlen=1)

    def put(self, item: Item) -> None:
        self._items.append(item)

    def take(self) -> Item | None:
        try:
            return self._items.popleft()
        except IndexError:
            return None


class Stage:
    """Repeats a step in a thread until told to stop.

    A step that raises is built anew after a pause that doubles from one second to a minute. A step that does not come
    back can only be given up: Python cannot end a thread, so `replace` leaves it behind, tells it to stop for the day
    when it comes back, and starts another with new objects.
    """

    def __init__(
        self, name: str, build: Callable[[threading.Event], Step], *, clock: Clock, limit_seconds: float
    ) -> None:
        """`build` makes the step; the event that it is given is set once that step shall do nothing more.
        `limit_seconds` is how long a step may take before it counts as stuck."""
        self.name, self.limit_seconds = name, limit_seconds
        self.restarts = 0
        self._build, self._clock = build, clock
        self._life: _Life | None = None

    @property
    def trouble(self) -> str:
        """Why the last step failed; empty once one has worked again."""
        return self._life.trouble if self._life else ""

    @property
    def ended(self) -> bool:
        return self._life is None or not self._life.is_alive()

    @property
    def stuck(self) -> bool:
        """Whether the thread should have been heard of, or is gone."""
        return self._life is not None and (self.ended or self._clock.elapsed() > self._life.expected_by)

    def start(self) -> None:
        self._life = _Life(self, self._build, self._clock)
        self._life.start()

    def forgive(self) -> None:
        """The whole process stood still; the stage has its full limit again."""
        if self._life is not None:
            self._life.expect(0.0)

    def renew(self) -> None:
        """Begin with new objects, as something else is wanted; the old ones end when their step is done."""
        self.stop()
        self.start()

    def replace(self) -> None:
        """Give up the thread, stuck as it is, and begin with new objects."""
        self.restarts += 1
        self.renew()

    def wake(self) -> None:
        """There may be something to do before the time that the step named."""
        if self._life is not None:
            self._life.awake.set()

    def stop(self) -> None:
        if self._life is not None:
            self._life.end.set()
            self._life.awake.set()

    def join(self, seconds: float) -> bool:
        """Whether the thread came to its end in time."""
        if self._life is not None:
            self._life.join(max(0.0, seconds))
        return self.ended


class _Life(threading.Thread):
    """One thread of a stage, with its own objects and its own end."""

    def __init__(self, stage: Stage, build: Callable[[threading.Event], Step], clock: Clock) -> None:
        super().__init__(name=stage.name, daemon=True)
        self.end, self.awake = threading.Event(), threading.Event()
        self.trouble = ""
        self._stage, self._build, self._clock = stage, build, clock
        self._failed_at, self._pause_seconds = 0.0, FIRST_PAUSE_SECONDS
        self.expect(0.0)

    def expect(self, rest_seconds: float) -> None:
        """The heartbeat: when the thread is to be heard of again at the latest."""
        self.expected_by = self._clock.elapsed() + rest_seconds + self._stage.limit_seconds

    def run(self) -> None:
        while not self.end.is_set():
            try:
                step = self._build(self.end)
                try:
                    self._repeat(step)
                finally:
                    step.close()
            # Whatever it is, the other stages go on and this one tries again.
            except Exception as error:
                self._failed(error)

    def _repeat(self, step: Step) -> None:
        while not self.end.is_set():
            self.expect(0.0)
            rest_seconds = step.step()
            if self.trouble and self._clock.elapsed() - self._failed_at > self._pause_seconds:
                self._recovered()
            if rest_seconds > 0:
                self._rest(rest_seconds)

    def _rest(self, seconds: float) -> None:
        self.expect(seconds)
        self.awake.wait(seconds)
        self.awake.clear()

    def _failed(self, error: Exception) -> None:
        if self.end.is_set():
            return
        trouble = f"{type(error).__name__}: {error}"
        if trouble != self.trouble:
            log.warning("%s failed and starts anew: %s", self.name, trouble)
        self.trouble = trouble
        self._stage.restarts += 1
        self._failed_at = self._clock.elapsed()
        self.expect(self._pause_seconds)
        self.end.wait(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LAST_PAUSE_SECONDS)

    def _recovered(self) -> None:
        """It has worked for longer than the pause before it: one that fails at every other step gets no such credit."""
        log.info("%s works again", self.name)
        self.trouble, self._pause_seconds = "", FIRST_PAUSE_SECONDS
