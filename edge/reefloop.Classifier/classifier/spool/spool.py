"""The spool: what waits for the cloud's word that it has it, whatever becomes of the disk."""

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, TypeVar

from classifier import messages
from classifier.clock import Clock
from classifier.messages import KINDS, Ack, Malformed, Record
from classifier.spool.entries import EVICTED_KINDS, FRAME, Depth, Entry, Ledger, Message, StoredUpload, Stream, Upload
from classifier.spool.places import FILE, new_boot, set_aside
from classifier.spool.store import PAGE, Store

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 16 * 1024 * 1024
RETRY_SECONDS: Final = 60.0
_LATEST: Final = 4_102_444_800_000  # 2100: a clock that is wrong by more must not use up the numbers that there are
_Result = TypeVar("_Result")


class Spool:
    """Thread-safe; no method raises for the disk's sake."""

    def __init__(self, folder: Path, *, clock: Clock, boot: str, max_bytes: int) -> None:
        self._folder, self._clock, self._max_bytes = folder, clock, max_bytes
        self._lock = threading.RLock()
        self._boot, self._next = boot, dict.fromkeys(KINDS, 1)
        self._evicted: Counter[str] = Counter(dict.fromkeys(EVICTED_KINDS, 0))
        self._last_at = 0
        self.trouble = ""
        self._retry_at = 0.0
        self._store = self._begin()
        self._evicted.update(self._store.evicted())
        self._last_at = self._store.last_at

    # --- in --------------------------------------------------------------------------------------------------------

    def add(self, items: Sequence[Entry]) -> None:
        """Keep all of these; they are durable when this returns, as far as `place` is "disk".

        What is larger than a sixteenth of the bound, or is no message that the cloud would take, is logged and counted
        as evicted: one odd record must not stop the rest.
        """
        with self._lock:
            self._come_back()
            good = [item for item in items if self._fits(item)]
            for group in self._groups(good):
                self._do(lambda store, group=group: self._add(store, group))  # type: ignore[misc]

    def _add(self, store: Store, group: Sequence[Entry]) -> None:
        numbers, rows, at = dict(self._next), [], self._last_at
        for item in group:
            at = max(at + 1, min(max(0, int(self._clock.wall() * 1000)), _LATEST))
            seq = 0
            if isinstance(item, Message):
                seq = numbers[item.kind]
                numbers[item.kind] += 1
            rows.append((item, seq, at))
        self._make_room(store)
        store.add(rows, boot=self._boot)
        self._next, self._last_at = numbers, at
        self._make_room(store)

    def _make_room(self, store: Store) -> None:
        while (over := store.over()) > 0 and (gone := store.evict(min(over, store.largest))):
            self._evicted.update(gone)

    def _fits(self, item: Entry) -> bool:
        try:
            if isinstance(item, Message):
                messages.fits(item.kind, item.body)
            elif _size(item) > self._store.largest:
                raise Malformed(f"it has {_size(item)} bytes; the spool takes at most {self._store.largest} at once")
        except Malformed as error:
            kind = item.kind if isinstance(item, Message) else FRAME
            log.error("a %s is not spooled: %s", kind, error)  # noqa: TRY400  the reason is all there is to know
            self._evicted[kind] += 1
            self._do(lambda store: store.lose({kind: 1}))
            return False
        return True

    def _groups(self, items: Sequence[Entry]) -> list[list[Entry]]:
        groups: list[list[Entry]] = []
        room = 0
        for item in items:
            room -= _size(item)
            if room < 0:
                groups.append([])
                room = self._store.largest - _size(item)
            groups[-1].append(item)
        return groups

    # --- out -------------------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        """Those with messages that wait, in order of priority, of each the oldest start first."""
        return self._ask(lambda store: store.streams(), [])

    def records(self, stream: Stream, *, after: int = 0, limit: int = messages.MAXIMUM_RECORDS) -> list[Record]:
        """Consecutive messages above a number."""
        return self._ask(lambda store: store.records(stream, after=after, limit=limit), [])

    def base(self, stream: Stream) -> int:
        """The lowest number that may still come: what is below was acknowledged or evicted."""
        with self._lock:
            later = self._next[stream.kind] if stream.boot == self._boot else 1
            return self._ask(lambda store: store.base(stream), None) or later

    def acknowledge(self, ack: Ack) -> int:
        """The cloud has them: delete; how many that were."""
        return self._ask(lambda store: store.delete(Stream(ack.boot, ack.kind), through=ack.through), 0)

    def next_upload(self, *, besides: Collection[str] = ()) -> StoredUpload | None:
        """The frame of the highest value, the oldest of these, `besides` those with these ids."""
        return self._ask(lambda store: store.next_upload(besides), None)

    def uploaded(self, upload: str) -> None:
        """The bucket has it."""
        self._ask(lambda store: store.remove(upload, evicted=False), None)

    def discard(self, upload: str) -> None:
        """It can never be sent, as when it is larger than the budget: delete and count it."""
        with self._lock:
            before = self._store.evicted().get(FRAME, 0)
            self._ask(lambda store: store.remove(upload, evicted=True), None)
            self._evicted[FRAME] += self._store.evicted().get(FRAME, 0) - before

    # --- how it is -------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        return "disk" if self._store.on_disk else "memory"

    @property
    def evicted(self) -> dict[str, int]:
        """By kind, what was lost before it was sent, since the file was begun."""
        with self._lock:
            return dict(self._evicted)

    def depth(self) -> Depth:
        return self._ask(lambda store: store.depth(), Depth(0, 0, 0))

    def resize(self, max_bytes: int) -> None:
        """Another bound from now on."""
        with self._lock:
            self._max_bytes = max_bytes
            self._do(lambda store: store.resize(max_bytes if store.on_disk else min(max_bytes, MEMORY_BYTES)))
            self._do(self._make_room)

    def close(self) -> None:
        with self._lock:
            self._store.close()

    # --- the budget's ledger ---------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Names the database of now: another one after trouble."""
        return self._store.identity

    @property
    def lost(self) -> bool:
        """Whether a ledger that was kept before this database was begun may be lost."""
        return self._store.lost

    def ledger(self) -> Ledger | None:
        return self._ask(lambda store: store.ledger(), None)

    def keep(self, ledger: Ledger, *, oldest: int, identity: str) -> bool:
        """Write these cells durably, if the database is still that one."""
        with self._lock:

            def keep(store: Store) -> bool:
                if store.identity != identity:
                    return False
                store.keep(ledger, oldest=oldest)
                return True

            return self._do(keep)

    # --- places ----------------------------------------------------------------------------------------------------

    def _ask(self, work: Callable[[Store], _Result], otherwise: _Result) -> _Result:
        with self._lock:
            before = self._store
            result = self._do(work)
            return result if self._store is before else otherwise

    def _do(self, work: Callable[[Store], _Result]) -> _Result:
        """Do it where the spool is; on trouble, move and do it there."""
        while True:
            try:
                return work(self._store)
            except (sqlite3.Error, OSError) as error:
                if not self._store.on_disk:
                    raise
                self._leave(error)

    def _leave(self, error: Exception) -> None:
        self._store.close()
        # The numbers of a transaction that failed may yet be on the disk: they must not be given a second time.
        self._boot, self._next = new_boot(self._clock), dict.fromkeys(KINDS, 1)
        self._store = self._begin(error)

    def _begin(self, error: Exception | None = None) -> Store:
        path = self._folder / FILE
        reason = error
        for _ in range(2):
            if reason is None or (isinstance(reason, sqlite3.DatabaseError) and _corrupt(reason)):
                try:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    if reason is not None:
                        self.trouble = f"{set_aside(path)} is a corrupt spool, set aside: {reason}"
                        log.error("%s", self.trouble)
                    return Store(path, max_bytes=self._max_bytes, lost=any(self._folder.glob(f"{FILE}.corrupt-*")))
                except (sqlite3.Error, OSError) as another:
                    reason = another
        self.trouble = f"the spool is in memory: {reason}"
        log.error("%s", self.trouble)
        self._retry_at = self._clock.elapsed() + RETRY_SECONDS
        return Store(None, max_bytes=min(self._max_bytes, MEMORY_BYTES), lost=True)

    def _come_back(self) -> None:
        if self._store.on_disk or self._clock.elapsed() < self._retry_at:
            return
        # to come


def _corrupt(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in (
        sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOMEM,
    )  # fmt: skip


def _size(item: Entry) -> int:
    """Bytes in the file, about."""
    return len(item.content) + 2 * PAGE if isinstance(item, Upload) else len(messages.encode(item.body)) + 64
