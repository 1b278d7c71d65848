"""What lies between the stages: bounded queues, and room for the latest of something."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


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
