"""One SQLite database, on disk or in memory. Whatever SQLite raises goes through: the spool decides what it means."""

import json
import secrets
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from classifier import messages
from classifier.messages import KINDS, Record
from classifier.spool.entries import FRAME, Depth, Entry, Ledger, Message, StoredUpload, Stream

SCHEMA: Final = 1
PAGE: Final = 4096
_TABLES: Final = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE boots (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE messages (
    kind INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    at INTEGER NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, boot, seq)
) WITHOUT ROWID;
CREATE TABLE uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT, value REAL NOT NULL, size INTEGER NOT NULL, sum INTEGER NOT NULL,
    key TEXT NOT NULL, metadata TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX uploads_by_value ON uploads (value, id DESC);
CREATE TABLE evicted (kind TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE ledger (minute INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
PRAGMA user_version = {SCHEMA};
"""


class Corrupt(sqlite3.DatabaseError):
    """What the database holds is not what was written."""


class Store:
    """The tables, in transactions. Not thread-safe.

    The bound is kept by parts: of sixteen, one is the largest transaction, two the write-ahead log (a transaction,
    and what is not yet checkpointed before it), one stays free so that a transaction always fits before eviction.
    """

    def __init__(self, path: Path | None, *, max_bytes: int, lost: bool) -> None:
        """Open the file, or begin it. None is in memory. `lost` notes in a new one that there was one before."""
        self.on_disk = path is not None
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=0.2)
        try:
            self._open(max_bytes, lost)
        except BaseException:
            self._db.close()
            raise

    def _open(self, max_bytes: int, lost: bool) -> None:
        # Exclusive: no -shm file, and a second process learns at once that it is one too many.
        for pragma in (f"page_size={PAGE}", "auto_vacuum=INCREMENTAL", "locking_mode=EXCLUSIVE", "journal_mode=WAL",
                       "synchronous=FULL", "temp_store=MEMORY", "cache_spill=OFF", "trusted_schema=OFF"):  # fmt: skip
            self._db.execute(f"PRAGMA {pragma}")
        version = self._pragma("user_version")
        if version == 0 and not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            with self.transaction():
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                values = {"identity": secrets.token_hex(8), "lost": int(lost), "last_at": 0}
                self._db.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
        elif version != SCHEMA:
            raise Corrupt(f"its schema is of version {version}, not {SCHEMA}")
        # Frames are checked when they are read: a check of all would take long on a slow card.
        for table in ("meta", "boots", "messages", "evicted", "ledger"):
            if (found := self._db.execute(f"PRAGMA quick_check({table})").fetchone()[0]) != "ok":
                raise Corrupt(f"table {table}: {found}")
        self.resize(max_bytes)
        self.identity = str(self._meta("identity"))
        self.lost = bool(self._meta("lost"))
        self.last_at = int(self._meta("last_at"))

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, and on disk when it is over."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # --- room ------------------------------------------------------------------------------------------------------

    def resize(self, max_bytes: int) -> None:
        """Take another bound. A file that is larger shrinks as far as it is empty."""
        self.largest = max_bytes // 16
        pages = max_bytes * 14 // 16 // PAGE
        self._limit = max_bytes * 13 // 16 // PAGE
        self._db.execute(f"PRAGMA wal_autocheckpoint={max(1, self.largest // 2 // PAGE)}")
        self._db.execute(f"PRAGMA journal_size_limit={2 * self.largest}")
        self._db.execute(f"PRAGMA max_page_count={pages}")

    def over(self) -> int:
        """Bytes above what may stay."""
        return (self._used() - self._limit) * PAGE

    def evict(self, wanted: int) -> dict[str, int]:
        """Delete what is worth least until about so many bytes are free; how many of each kind."""
        gone: dict[str, int] = {}
        with self.transaction():
            while wanted > 0 and (found := self._least()):
                kind, size = found
                gone[kind] = gone.get(kind, 0) + 1
                wanted -= size
            self.count(gone)
        return gone

    def lose(self, gone: Mapping[str, int]) -> None:
        """Count what never came in."""
        with self.transaction():
            self.count(gone)

    def count(self, gone: Mapping[str, int]) -> None:
        self._db.executemany(
            "INSERT INTO evicted VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count",
            gone.items(),
        )

    def _least(self) -> tuple[str, int] | None:
        """Delete one: the frame of the lowest value, the oldest of these; then the oldest of the lowest priority."""
        row = self._db.execute("SELECT id, size FROM uploads ORDER BY value, id LIMIT 1").fetchone()
        if row:
            self._db.execute("DELETE FROM uploads WHERE id = ?", row[:1])
            return FRAME, row[1]
        for kind in reversed(range(len(KINDS))):
            row = self._db.execute(
                "SELECT kind, boot, seq, length(body) FROM messages WHERE kind = ? ORDER BY boot, seq LIMIT 1", (kind,)
            ).fetchone()
            if row:
                self._db.execute("DELETE FROM messages WHERE kind = ? AND boot = ? AND seq = ?", row[:3])
                return KINDS[kind], row[3] + 32
        return None

    def _used(self) -> int:
        return self._pragma("page_count") - self._pragma("freelist_count")

    # --- entries ---------------------------------------------------------------------------------------------------

    def add(self, entries: Sequence[tuple[Entry, int, int]], *, boot: str) -> None:
        """One durable transaction. With each entry its number (of a message) and its time."""
        with self.transaction():
            number = self._boot(boot)
            for entry, seq, at in entries:
                self._add(entry, number, seq, at)
            last = max(at for _, _, at in entries)
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'last_at'", (last,))
        self.last_at = last

    def _boot(self, name: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO boots (name) VALUES (?)", (name,))
        return int(self._db.execute("SELECT id FROM boots WHERE name = ?", (name,)).fetchone()[0])

    def _add(self, entry: Entry, boot: int, seq: int, at: int) -> None:
        if isinstance(entry, Message):
            body = messages.encode(entry.body)
            row: tuple[Any, ...] = (KINDS.index(entry.kind), boot, seq, at, zlib.crc32(body), body)
            self._db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", row)
        else:
            metadata = json.dumps(dict(entry.metadata))
            row = (entry.value, len(entry.content), zlib.crc32(entry.content), entry.key, metadata, entry.content)
            self._db.execute(
                "INSERT INTO uploads (value, size, sum, key, metadata, content) VALUES (?, ?, ?, ?, ?, ?)", row
            )

    def streams(self) -> list[Stream]:
        """Those with records, in order of priority, the oldest start first."""
        rows = self._db.execute(
            "SELECT k.column1, boots.name FROM (VALUES (0), (1), (2)) AS k CROSS JOIN boots WHERE EXISTS "
            "(SELECT 1 FROM messages WHERE kind = k.column1 AND boot = boots.id) ORDER BY k.column1, boots.id"
        )
        return [Stream(boot, KINDS[kind]) for kind, boot in rows]

    def records(self, stream: Stream, *, after: int, limit: int) -> list[Record]:
        rows = self._db.execute(
            "SELECT seq, at, sum, body FROM messages WHERE kind = ? AND boot = (SELECT id FROM boots WHERE name = ?) "
            "AND seq > ? ORDER BY seq LIMIT ?",
            (KINDS.index(stream.kind), stream.boot, after, limit),
        ).fetchall()
        for seq, _, checksum, body in rows:
            if zlib.crc32(body) != checksum:
                raise Corrupt(f"{stream.kind} {seq} of {stream.boot} is not as it was written")
        return [Record(seq, at, json.loads(body)) for seq, at, _, body in rows]

    def base(self, stream: Stream) -> int | None:
        """The lowest number that waits."""
        row = self._db.execute(
            "SELECT min(seq) FROM messages WHERE kind = ? AND boot = (SELECT id FROM boots WHERE name = ?)",
            (KINDS.index(stream.kind), stream.boot),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def delete(self, stream: Stream, *, through: int) -> int:
        with self.transaction():
            deleted = self._db.execute(
                "DELETE FROM messages WHERE kind = ? AND boot = (SELECT id FROM boots WHERE name = ?) AND seq <= ?",
                (KINDS.index(stream.kind), stream.boot, through),
            ).rowcount
        return deleted

    def next_upload(self, besides: Collection[str]) -> StoredUpload | None:
        for number, *_ in self._db.execute("SELECT id FROM uploads ORDER BY value DESC, id"):
            if f"{self.identity}-{number}" not in besides:
                return self._upload(number)
        return None

    def _upload(self, number: int) -> StoredUpload:
        query = "SELECT sum, key, metadata, content FROM uploads WHERE id = ?"
        checksum, key, metadata, content = self._db.execute(query, (number,)).fetchone()
        if zlib.crc32(content) != checksum:
            raise Corrupt(f"frame {key} is not as it was written")
        return StoredUpload(f"{self.identity}-{number}", key, content, json.loads(metadata))

    def remove(self, upload: str, *, evicted: bool) -> None:
        identity, _, number = upload.rpartition("-")
        if identity != self.identity:
            return
        with self.transaction():
            if self._db.execute("DELETE FROM uploads WHERE id = ?", (int(number),)).rowcount and evicted:
                self.count({FRAME: 1})

    def depth(self) -> Depth:
        (records,) = self._db.execute("SELECT count(*) FROM messages").fetchone()
        (frames,) = self._db.execute("SELECT count(*) FROM uploads").fetchone()
        return Depth(records, frames, self._used() * PAGE)

    def evicted(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT kind, count FROM evicted").fetchall())

    # --- ledger ----------------------------------------------------------------------------------------------------

    def ledger(self) -> Ledger | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'ledger'").fetchone()
        if row is None:
            return None
        running, boot, elapsed = json.loads(row[0])
        return Ledger(running, boot, elapsed, dict(self._db.execute("SELECT minute, bytes FROM ledger").fetchall()))

    def keep(self, ledger: Ledger, *, oldest: int) -> None:
        """Write the cells of a ledger; those before the oldest are forgotten."""
        with self.transaction():
            self._db.execute("DELETE FROM ledger WHERE minute < ?", (oldest,))
            self._db.executemany("INSERT OR REPLACE INTO ledger VALUES (?, ?)", ledger.cells.items())
            state = json.dumps([ledger.running, ledger.boot, ledger.elapsed])
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('ledger', ?)", (state,))

    def _meta(self, name: str) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Corrupt(f"there is no {name} in it")
        return row[0]

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
