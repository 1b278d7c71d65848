"""The spool: what waits for the cloud's word that it has it, whatever becomes of the disk."""

import json
import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Final, TypeVar

from classifier import messages
from classifier.clock import Clock
from classifier.messages import KINDS, Ack, Malformed, Record
from classifier.spool.database import PAGE
from classifier.spool.entries import (
    FRAME,
    Depth,
    Entry,
    Ledger,
    Message,
    MessageRow,
    Row,
    StoredUpload,
    Stream,
    UploadRow,
)
from classifier.spool.place import Place
from classifier.spool.store import Store

log = logging.getLogger(__name__)

_LATEST: Final = 4_102_444_800_000  # 2100: a clock that is further off must not use up the numbers that there are
_Result = TypeVar("_Result")


class Spool:
    """Thread-safe. No method raises for the disk's sake: a corrupt file is set aside and a new one begun; where the
    disk does not work the spool lives in memory, and looks once a minute whether it does again.
    """

    def __init__(self, folder: Path, *, clock: Clock, boot: str, max_bytes: int) -> None:
        self._clock, self._lock = clock, threading.RLock()
        self._place = Place(folder, clock=clock, boot=boot, max_bytes=max_bytes)
        self._last: Counter[tuple[str, str]] = Counter()
        """The last number of each stream of this start."""

    # --- in --------------------------------------------------------------------------------------------------------

    def add(self, items: Sequence[Entry]) -> None:
        """Keep all of these, on disk durably when this returns, and in one transaction if none can hold them.

        What is no message that the cloud would take, or larger than a transaction may be (a sixteenth of the bound),
        is logged and counted as evicted: one odd record must not stop the rest.
        """
        with self._lock:
            self._place.come_back()
            rows = [row for item in items if (row := self._row(item))]
            while rows:
                most = self._place.store.largest
                count = sum(1 for size in accumulate(row.size for row in rows) if size <= most)
                if not count:
                    self._lose(FRAME, f"it has {rows[0].size} bytes, of at most {most}")
                    rows = rows[1:]
                elif self._add(rows[:count]):
                    rows = rows[count:]

    def _row(self, item: Entry) -> Row | None:
        """The entry as it will be kept, or None if it cannot be."""
        try:
            if isinstance(item, Message):
                return MessageRow(item.kind, "", 0, 0, messages.fits(item.kind, item.body))
            item.key.encode()
            metadata = json.dumps(dict(item.metadata)).encode()
            if not math.isfinite(item.value):
                raise Malformed(f"it is worth {item.value}")
            return UploadRow(item.key, item.content, metadata, item.value)
        except (Malformed, UnicodeError) as error:
            self._lose(item.kind if isinstance(item, Message) else FRAME, str(error))
            return None

    def _lose(self, kind: str, reason: str) -> None:
        log.error("a %s is not spooled: %s", kind, reason)
        self._place.lose(Counter({kind: 1}))

    def _add(self, rows: Sequence[Row]) -> bool:
        """False, and nothing done, if the spool has moved to where less goes into a transaction."""
        size = sum(row.size for row in rows)

        def add(store: Store) -> tuple[Counter[tuple[str, str]], int] | None:
            if size > store.largest:
                return None
            last, at, numbered = self._last.copy(), self._place.last_at, list[Row]()
            for row in rows:
                at = max(at + 1, min(int(self._clock.wall() * 1000), _LATEST))
                if isinstance(row, MessageRow):
                    stream = (self._place.boot, row.kind)
                    last[stream] += 1
                    row = replace(row, boot=self._place.boot, seq=last[stream], at=at)
                numbered.append(row)
            store.add(numbered, last_at=at)
            return last, at

        sparing = min((KINDS.index(row.kind) for row in rows if isinstance(row, MessageRow)), default=len(KINDS))
        self._place.trim()
        if (added := self._place.do(add, need=size + 8 * PAGE, sparing=sparing)) is None:
            return False
        self._last, self._place.last_at = added
        # Only now: what is worth least may be among the new.
        self._place.trim()
        return True

    # --- out -------------------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        """Those with messages that wait, in order of priority, of each kind the oldest starts first. Where those are
        many, not all: the oldest, and the newest."""
        return self._do(Store.streams)

    def records(self, stream: Stream, *, after: int = 0, limit: int = messages.MAXIMUM_RECORDS) -> list[Record]:
        """Consecutive messages above a number."""
        return self._do(lambda store: store.records(stream, after=after, limit=limit))

    def base(self, stream: Stream) -> int:
        """The lowest number that may still come: what is below was acknowledged or evicted."""
        with self._lock:
            # Of an old stream that is empty nothing comes; a base that is too low hides nothing.
            later = self._last[stream.boot, stream.kind] + 1
            return self._do(lambda store: store.base(stream)) or later

    def acknowledge(self, ack: Ack) -> int:
        """The cloud has them: delete; how many that were."""
        return self._do(lambda store: store.acknowledge(Stream(ack.boot, ack.kind), through=ack.through))

    def next_upload(self, *, besides: Collection[str] = ()) -> StoredUpload | None:
        """The frame of the highest value, the oldest of these, `besides` those with these ids."""
        return self._do(lambda store: store.next_upload(besides))

    def uploaded(self, upload: str) -> None:
        """The bucket has it."""
        self._do(lambda store: store.remove(upload))

    def discard(self, upload: str) -> None:
        """It can never be sent, as when it is larger than the budget: delete and count it."""
        with self._lock:
            if self._do(lambda store: store.remove(upload)):
                self._place.lose(Counter({FRAME: 1}))

    # --- how it is -------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """disk or memory."""
        return "disk" if self._place.store.on_disk else "memory"

    @property
    def trouble(self) -> str:
        """What happened to the disk or the file last; "" if nothing did."""
        return self._place.trouble

    @property
    def evicted(self) -> dict[str, int]:
        """By kind, what was lost on the device since the file was begun."""
        with self._lock:
            return dict(self._place.evicted)

    def depth(self) -> Depth:
        """What waits."""
        return self._do(Store.depth)

    def resize(self, max_bytes: int) -> None:
        """Another bound from now on."""
        with self._lock:
            self._place.resize(max_bytes)

    def close(self) -> None:
        """Nothing may be asked of it any more."""
        with self._lock:
            self._place.store.close()

    # --- the budget's ledger ---------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Names the database: another one after trouble."""
        return self._place.store.identity

    @property
    def lost(self) -> bool:
        """Whether the database replaces one that a ledger may have been lost with."""
        return self._place.store.lost

    def ledger(self) -> Ledger | None:
        """As it was kept last."""
        return self._do(Store.ledger)

    def keep(self, ledger: Ledger, *, oldest: int, identity: str) -> bool:
        """Write these cells durably; of those that are there, forget the ones before the oldest.

        False, and nothing done, if the database is another one by now.
        """

        def keep(store: Store) -> bool:
            if store.identity != identity:
                return False
            store.keep(ledger, oldest=oldest)
            return True

        return self._do(keep)

    def _do(self, work: Callable[[Store], _Result]) -> _Result:
        with self._lock:
            return self._place.do(work)
