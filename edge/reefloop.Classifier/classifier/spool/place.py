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
from classifier.spool.entries import EVICTED
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
        self._left: list[Store] = []
        self._retry_at = 0.0
        self.store = self._open(None)

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
        """Evict what is above the bound."""
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
        with contextlib.suppress(sqlite3.Error, OSError):
            disk, trouble = open_on_disk(self._folder)
            try:
                self._settle(disk)
                self._move(disk)
            except BaseException:
                disk.close()
                # A part may be there: what comes now is not of the same streams.
                self.boot = new_boot(self._clock)
                raise
            self.store.close()
            self.store = disk
            self.trouble = trouble or self.trouble.replace("is in memory", "was in memory")
            log.warning("the spool is on the disk again")

    def _move(self, disk: Store) -> None:
        for before in self._left:
            disk.drop(before.doubtful)
        disk.begin(self.store.boots())
        while rows := self.store.some(disk.largest):
            self._trim(disk)
            # A bound that became smaller meanwhile may leave no room for a large frame.
            if fitting := [row for row in rows if row.size <= disk.largest]:
                disk.add(fitting, last_at=self.last_at)
            self.evicted.update({"frame": len(rows) - len(fitting)})
            self.store.drop(rows)
        self._trim(disk)
        self._tell(disk)
        self._left.clear()

    def _leave(self, error: Exception) -> None:
        self.store.close()
        self._left.append(self.store)
        self.boot = new_boot(self._clock)
        self.store = self._open(error)

    def _open(self, error: Exception | None) -> Store:
        """The store on the disk, a new one there if `error` means that it is damaged, else one in memory."""
        try:
            if error is not None and not corrupt(error):
                raise error
            store, trouble = open_on_disk(self._folder, damage=error)
            try:
                self._settle(store)
            except BaseException:
                store.close()
                raise
        except (sqlite3.Error, OSError) as reason:
            store, trouble = Store(None, lost=True), f"the spool is in memory: {reason}"
            self._retry_at = self._clock.elapsed() + RETRY_SECONDS
            self._settle(store)
        if trouble:
            self.trouble = trouble
            log.error("%s", trouble)
        return store

    def _settle(self, store: Store) -> None:
        if store.identity not in self._seen:
            self._seen.add(store.identity)
            self.evicted.update(store.evicted())
            self.last_at = max(self.last_at, int(store.meta("last_at")))
        store.begin([self.boot])
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

    def _tell(self, store: Store) -> None:
        """Bring the counts that are kept up to what is known."""
        store.lose(self.evicted - Counter(store.evicted()))

    def _relieve(self, need: int, sparing: int) -> None:
        with contextlib.suppress(sqlite3.Error, OSError):
            make_room(self._folder)
            self.store.rewind()
            self.evicted.update(self.store.evict(need, sparing=sparing))
