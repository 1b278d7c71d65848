"""The SQLite database: its tables, how it is opened, and how it keeps within its bound."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = 1
PAGE: Final = 4096
_SLACK: Final = 16
_TABLES: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE boots (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    # By stream and number: appended at one end, deleted at the other.
    "CREATE TABLE messages (kind INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,"
    " sum INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, boot, seq)) WITHOUT ROWID",
    "CREATE TABLE uploads (id INTEGER PRIMARY KEY AUTOINCREMENT, value REAL NOT NULL, sum INTEGER NOT NULL,"
    " key TEXT NOT NULL, metadata BLOB NOT NULL, content BLOB NOT NULL)",
    "CREATE INDEX uploads_by_value ON uploads (value, id)",
    "CREATE TABLE evicted (kind TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE ledger (minute INTEGER PRIMARY KEY, bytes INTEGER NOT NULL)",
    f"PRAGMA user_version = {SCHEMA}",
)
# Frames are checked when they are read: a check of all of them takes minutes on a slow card.
_CHECKED: Final = ("meta", "boots", "messages", "evicted", "ledger")
_PRAGMAS: Final = (
    # First: then there is no shared memory file. A second process learns at once that it is one too many.
    "locking_mode = EXCLUSIVE",
    f"page_size = {PAGE}",
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "temp_store = MEMORY",
    "cache_spill = OFF",  # a transaction's pages are written once, so that the log's size can be told
    "cache_size = -2000",
    "trusted_schema = OFF",
)


class Corrupt(sqlite3.DatabaseError):
    """What the database holds is not what was written."""


class Database:
    """One connection. Whatever SQLite raises goes through. Not thread-safe.

    The largest transaction is a sixteenth of the bound. Twice that, and some pages that every transaction writes, are
    for the write-ahead log: the transaction, and what is not yet checkpointed before it. The rest is the file's, of
    which a sixteenth stays free, so that a transaction always fits and what is evicted is chosen with the new in place.
    """

    def __init__(self, path: Path | None, *, lost: bool) -> None:
        """Open the file, or begin it; None is in memory. `lost` notes in a new one that it replaces another.

        Raises:
            Corrupt, sqlite3.Error, OSError
        """
        self._path, self.on_disk = path, path is not None
        self.connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=1)
        try:
            for pragma in _PRAGMAS:
                self.connection.execute(f"PRAGMA {pragma}")
            self._begin(lost=lost)
            for table in _CHECKED:
                if (found := self.one(f"PRAGMA quick_check({table})")) != "ok":
                    raise Corrupt(f"table {table}: {found}")
            self.identity, self.lost = str(self.meta("identity")), bool(self.meta("lost"))
        except BaseException:
            self.close()
            raise

    def _begin(self, *, lost: bool) -> None:
        version = self.one("PRAGMA user_version")
        if version == 0 and not self.one("SELECT count(*) FROM sqlite_master"):
            with self.transaction():
                for statement in _TABLES:
                    self.connection.execute(statement)
                values = {"identity": secrets.token_hex(8), "lost": int(lost), "last_at": 0}
                self.connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
        elif version != SCHEMA:
            raise Corrupt(f"its schema is of version {version}; this is {SCHEMA}")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, and on disk when it is over."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
            raise

    def one(self, query: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def meta(self, name: str) -> Any:
        """A value that is always there.

        Raises:
            Corrupt: it is not.
        """
        if (value := self.one("SELECT value FROM meta WHERE name = ?", name)) is None:
            raise Corrupt(f"there is no {name} in it")
        return value

    def bound(self, max_bytes: int) -> None:
        """Take a bound; a file that is larger shrinks as far as it holds free pages."""
        self.largest = max_bytes // 16
        pages = (max_bytes - 2 * self.largest) // PAGE - _SLACK
        self._limit = pages - self.largest // PAGE
        self.connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, self.largest // 2 // PAGE)}")
        self.connection.execute(f"PRAGMA journal_size_limit = {2 * self.largest}")
        while (excess := self.one("PRAGMA page_count") - pages) > 0 and self.one("PRAGMA freelist_count"):
            step = min(excess, max(1, self.largest // 2 // PAGE))
            self.connection.execute(f"PRAGMA incremental_vacuum({step})").fetchall()
        if excess > 0 or self.one("PRAGMA max_page_count") > pages:
            self.rewind()
        self.connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def over(self) -> int:
        """Bytes in use above what may stay; negative when there is room."""
        return self.used() - self._limit * PAGE

    def short(self) -> int:
        """Bytes that must be given up for a transaction to find room where the disk has none: what is free in the
        file can always be written, but a log that cannot be carried into the file can neither be emptied nor grow."""
        if self._path is None:
            return 0
        disk = os.statvfs(self._path)
        spare = disk.f_bavail * disk.f_frsize - 2 * self.largest - _SLACK * PAGE
        return self.largest - int(self.one("PRAGMA freelist_count")) * PAGE - max(0, spare)

    def used(self) -> int:
        """Bytes in use."""
        return int(self.one("PRAGMA page_count") - self.one("PRAGMA freelist_count")) * PAGE

    def rewind(self) -> None:
        """Carry the log into the file and begin it anew in the room that it has: a full disk gives it no other."""
        self.connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def sync(folder: Path) -> None:
    """A new file is not there after a power cut until its folder is written too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
