"""Where the spool lives: on the disk while that works, else in memory."""

import contextlib
import logging
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from classifier.clock import Clock
from classifier.messages import KINDS
from classifier.spool.entries import EVICTED, FRAME, Row
from classifier.spool.files import corrupt, full, make_room, open_on_disk
from classifier.spool.store import Store

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 16 * 1024 * 1024
RETRY_SECONDS: Final = 60.0
_Result = TypeVar("_Result")


def new_boot(clock: Clock) -> str:
    """A name for one start: no other has it, even where the clock is always wrong."""
    return f"{min(max(0, int(clock.wall() * 1000)), 10**13 - 1):013d}-{secrets.token_hex(4)}"


class Place:
    """One store at a time, and the way from one to the next. Not thread-safe.

    `boot` names what is written from now on. It changes whenever the store does: nobody knows then which numbers of
    the one before will be found on the disk again, and none may be given twice.
    """

    def __init__(self, folder: Path, *, clock: Clock, boot: str, max_bytes: int) -> None:
        self._folder, self._clock, self._max_bytes = folder, clock, max_bytes
        self.boot = boot
        self.last_at = 0
        self.evicted: Counter[str] = Counter(dict.fromkeys(EVICTED, 0))
        self.trouble = ""
        self._seen: set[str] = set()
        self._doubtful: list[Row] = []
        self._retry_at = 0.0
        try:
            self.store = self._on_disk(None, self._settle)
        except (sqlite3.Error, OSError) as reason:
            self.store = self._in_memory(reason)

    def do(self, work: Callable[[Store], _Result], *, need: int = 0, sparing: int = 0) -> _Result:
        """Do it in the store. On trouble, move and do it there.

        A full disk is first given the room of what is worth least: `need` bytes, `sparing` the first kinds.
        """
        relieved = False
        while True:
            try:
                return work(self.store)
            except sqlite3.ProgrammingError:  # it was closed
                raise
            except (sqlite3.Error, OSError) as error:
                if full(error) and not relieved:
                    relieved = True
                    self._relieve(need, sparing)
                elif self.store.on_disk:
                    self._leave(error)
                else:
                    raise

    def trim(self) -> None:
        """Evict what is above the bound, and frames where the disk is nearly full."""
        self.do(self._trim)

    def lose(self, gone: Counter[str]) -> None:
        """Count what was lost without ever being in."""
        self.evicted.update(gone)
        self.do(self._tell)

    def resize(self, max_bytes: int) -> None:
        """Take another bound."""
        self._max_bytes = max_bytes
        self.do(self._bound)

    def come_back(self) -> None:
        """From memory to the disk, if that works again; once a minute at most."""
        if self.store.on_disk or self._clock.elapsed() < self._retry_at:
            return
        self._retry_at = self._clock.elapsed() + RETRY_SECONDS
        memory, trouble = self.store, self.trouble
        with contextlib.suppress(sqlite3.Error, OSError):
            self.store = self._on_disk(None, self._move)
            memory.close()
            if self.trouble == trouble:
                self.trouble = trouble.replace("is in memory", "was in memory")
            log.warning("the spool is on the disk again")

    def _move(self, disk: Store) -> None:
        self._settle(disk)
        disk.drop(self._doubtful)
        self._doubtful.clear()
        disk.begin(self.store.boots())
        while rows := self.store.some(disk.largest):
            # A bound that became smaller meanwhile may leave no room for a large frame.
            fitting = [row for row in rows if row.size <= disk.largest]
            disk.add(fitting, last_at=self.last_at)
            self.boot = new_boot(self._clock)
            self.evicted.update({FRAME: len(rows) - len(fitting)})
            self.store.drop(rows)
            self._trim(disk)
        self._tell(disk)

    def _leave(self, error: Exception) -> None:
        self.store.close()
        self._doubtful += self.store.doubtful
        self.boot = new_boot(self._clock)
        try:
            self.store = self._on_disk(error, self._settle)
        except (sqlite3.Error, OSError) as reason:
            self.store = self._in_memory(reason)

    def _in_memory(self, reason: Exception) -> Store:
        self._say(f"the spool is in memory: {reason}")
        self._retry_at = self._clock.elapsed() + RETRY_SECONDS
        store = Store(None, lost=True)
        self._settle(store)
        return store

    def _on_disk(self, error: Exception | None, prepare: Callable[[Store], None]) -> Store:
        """The store on the disk, prepared; a new one if `error`, or one on the way, means that it is damaged.

        Raises:
            sqlite3.Error, OSError: the disk does not work.
        """
        for _ in range(3):
            if error is not None and not corrupt(error):
                break
            store = None
            try:
                store, trouble = open_on_disk(self._folder, damage=error)
                if trouble:
                    self._say(trouble)
                prepare(store)
            except (sqlite3.Error, OSError) as another:
                error = another
                if store is not None:
                    store.close()
                    self._doubtful += store.doubtful
            else:
                return store
        assert error is not None  # noqa: S101  of three tries none returned
        raise error

    def _say(self, trouble: str) -> None:
        self.trouble = trouble
        log.error("%s", trouble)

    def _settle(self, store: Store) -> None:
        if store.identity not in self._seen:
            self._seen.add(store.identity)
            self.evicted.update(store.evicted())
            self.last_at = max(self.last_at, int(store.meta("last_at")))
        store.begin([])
        self._bound(store)
        self._tell(store)

    def _bound(self, store: Store) -> None:
        max_bytes = self._max_bytes if store.on_disk else min(self._max_bytes, MEMORY_BYTES)
        store.bound(max_bytes)
        self._trim(store)
        store.bound(max_bytes)  # the file shrinks by what was evicted

    def _trim(self, store: Store) -> None:
        while (over := store.over()) > 0 and (gone := store.evict(min(over, store.largest))):
            self.evicted.update(gone)
        while (short := store.short()) > 0 and (gone := store.evict(short, sparing=len(KINDS))):
            self.evicted.update(gone)

    def _tell(self, store: Store) -> None:
        """Bring the counts that are kept up to what is known."""
        store.lose(self.evicted - Counter(store.evicted()))

    def _relieve(self, need: int, sparing: int) -> None:
        with contextlib.suppress(sqlite3.Error, OSError):
            make_room(self._folder)
            self.store.rewind()
            self.evicted.update(self.store.evict(need, sparing=sparing))
