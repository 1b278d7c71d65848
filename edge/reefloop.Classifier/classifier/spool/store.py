"""What the spool keeps, in one database."""

import contextlib
import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from classifier.messages import KINDS, Record
from classifier.spool.database import Corrupt, Database
from classifier.spool.entries import FRAME, Depth, Ledger, MessageRow, Row, StoredUpload, Stream, UploadRow

STREAMS: Final = 32
"""Of a kind, that are told at once. A device that lost its power every few minutes has thousands."""
_STREAM: Final = "kind = ? AND boot = (SELECT id FROM boots WHERE name = ?)"


class Store(Database):
    """Messages, frames, counts and the ledger. Every method that writes is one transaction, durable on return."""

    doubtful: Sequence[MessageRow] = ()
    """Of a transaction that failed: nobody knows whether the disk has it."""

    # --- in --------------------------------------------------------------------------------------------------------

    def add(self, rows: Sequence[Row], *, last_at: int) -> None:
        """Keep these, and the last time that was given to one."""
        self.doubtful = [row for row in rows if isinstance(row, MessageRow)]
        with self.transaction():
            for row in rows:
                if isinstance(row, MessageRow):
                    values = (KINDS.index(row.kind), self._boot(row.boot), row.seq, row.at, zlib.crc32(row.body))
                    self.connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", (*values, row.body))
                else:
                    self.connection.execute(
                        "INSERT INTO uploads (value, sum, key, metadata, content) VALUES (?, ?, ?, ?, ?)",
                        (row.value, _sum(row.metadata, row.content), row.key, row.metadata, row.content),
                    )
            self.connection.execute("UPDATE meta SET value = max(value, ?) WHERE name = 'last_at'", (last_at,))
        self.doubtful = ()

    def begin(self, boots: Sequence[str]) -> None:
        """Know these starts, in this order; forget those of which nothing waits."""
        with self.transaction():
            self.connection.execute(
                "DELETE FROM boots WHERE NOT EXISTS "
                "(SELECT 1 FROM messages WHERE messages.kind IN (0, 1, 2) AND messages.boot = boots.id)"
            )
            for boot in boots:
                self._boot(boot)

    def _boot(self, name: str) -> int:
        found = self.one("SELECT id FROM boots WHERE name = ?", name)
        if found is None:
            found = self.connection.execute("INSERT INTO boots (name) VALUES (?)", (name,)).lastrowid
        return int(found)

    # --- out -------------------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        """Those with messages, in order of priority: of each kind the STREAMS oldest starts, and the newest."""
        return [Stream(name, kind) for number, kind in enumerate(KINDS) for (name,) in self._starts(number)]

    def _starts(self, kind: int) -> list[tuple[str]]:
        # From boot to boot along the index: thousands of starts are not looked through in every step.
        query = (
            "WITH RECURSIVE waiting (boot) AS (SELECT min(boot) FROM messages WHERE kind = ?1 UNION ALL "
            "SELECT (SELECT min(boot) FROM messages WHERE kind = ?1 AND boot > waiting.boot) FROM waiting "
            "WHERE boot IS NOT NULL LIMIT ?2) SELECT name FROM boots WHERE id IN waiting "
            "OR id = (SELECT max(boot) FROM messages WHERE kind = ?1) ORDER BY id"
        )
        return self.connection.execute(query, (kind, STREAMS)).fetchall()

    def records(self, stream: Stream, *, after: int, limit: int) -> list[Record]:
        """Consecutive messages above a number."""
        rows = self.connection.execute(
            f"SELECT seq, at, sum, body FROM messages WHERE {_STREAM} AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
            (*_key(stream), after, limit),
        ).fetchall()
        with _reading(f"a {stream.kind} of {stream.boot}"):
            _check(rows)
            return [Record(seq, at, json.loads(body)) for seq, at, _, body in rows]

    def base(self, stream: Stream) -> int | None:
        """The lowest number that waits."""
        found = self.one(f"SELECT min(seq) FROM messages WHERE {_STREAM}", *_key(stream))  # noqa: S608
        return None if found is None else int(found)

    def acknowledge(self, stream: Stream, *, through: int) -> int:
        """Delete up to a number; how many that were."""
        query = f"DELETE FROM messages WHERE {_STREAM} AND seq <= ?"  # noqa: S608
        with self.transaction():
            return self.connection.execute(query, (*_key(stream), through)).rowcount

    def next_upload(self, besides: Collection[str]) -> StoredUpload | None:
        """The frame of the highest value, the oldest of these."""
        for (number,) in self.connection.execute("SELECT id FROM uploads ORDER BY value DESC, id"):
            if (name := f"{self.identity}-{number}") not in besides:
                row = self._upload(number)
                return StoredUpload(name, row.key, row.content, json.loads(row.metadata))
        return None

    def _upload(self, number: int) -> UploadRow:
        query = "SELECT sum, key, metadata, content, value FROM uploads WHERE id = ?"
        with _reading(f"frame {number}"):
            checksum, key, metadata, content, value = self.connection.execute(query, (number,)).fetchone()
            if _sum(metadata, content) != checksum:
                raise Corrupt(f"frame {key} is not as it was written")
            return UploadRow(key, content, metadata, value, number)

    def remove(self, upload: str) -> bool:
        """Delete a frame, unless it was evicted, or lay in another database."""
        identity, _, number = upload.rpartition("-")
        if identity != self.identity:
            return False
        with self.transaction():
            return self.connection.execute("DELETE FROM uploads WHERE id = ?", (int(number),)).rowcount > 0

    def some(self, most_bytes: int) -> list[Row]:
        """What is moved to another database at once: the newest messages, and when none is left, frames.

        The newest first: should the move break off, what was moved does not stand before what was not.
        """
        rows: list[Row] = []
        messages = self.connection.execute(
            "SELECT kind, name, seq, at, sum, body FROM messages JOIN boots ON boot = id ORDER BY kind, boot, seq DESC"
        )
        for kind, boot, *rest, body in messages:
            _check([(*rest, body)])
            rows.append(MessageRow(KINDS[kind], boot, rest[0], rest[1], body))
            most_bytes -= rows[-1].size
            if most_bytes < 0:
                return rows[:-1] or rows
        if rows:
            return rows
        found = self.one("SELECT id FROM uploads ORDER BY id LIMIT 1")
        return [] if found is None else [self._upload(found)]

    def drop(self, rows: Sequence[Row]) -> None:
        """Delete what was moved."""
        with self.transaction():
            for row in rows:
                if isinstance(row, MessageRow):
                    values = (*_key(Stream(row.boot, row.kind)), row.seq)
                    self.connection.execute(f"DELETE FROM messages WHERE {_STREAM} AND seq = ?", values)  # noqa: S608
                else:
                    self.connection.execute("DELETE FROM uploads WHERE id = ?", (row.id,))

    def boots(self) -> list[str]:
        return [name for (name,) in self.connection.execute("SELECT name FROM boots ORDER BY id")]

    def depth(self) -> Depth:
        return Depth(self.one("SELECT count(*) FROM messages"), self.one("SELECT count(*) FROM uploads"), self.used())

    # --- eviction --------------------------------------------------------------------------------------------------

    def evict(self, wanted: int, *, sparing: int = 0) -> Counter[str]:
        """Delete what is worth least until about so many bytes are free; how many of each kind that were.

        The first so many kinds of messages are spared.
        """
        gone: Counter[str] = Counter()
        with self.transaction():
            while wanted > 0 and (found := self._least(sparing)):
                kind, size = found
                gone[kind] += 1
                wanted -= size
            self._count(gone)
        return gone

    def _least(self, sparing: int) -> tuple[str, int] | None:
        """Delete one: the frame of the lowest value, the oldest of these; then the oldest of the lowest priority."""
        query = "SELECT id, length(content) FROM uploads ORDER BY value, id LIMIT 1"
        if row := self.connection.execute(query).fetchone():
            self.connection.execute("DELETE FROM uploads WHERE id = ?", row[:1])
            return FRAME, row[1]
        query = "SELECT kind, boot, seq, length(body) FROM messages WHERE kind = ? ORDER BY boot, seq LIMIT 1"
        for kind in reversed(range(sparing, len(KINDS))):
            if row := self.connection.execute(query, (kind,)).fetchone():
                self.connection.execute("DELETE FROM messages WHERE kind = ? AND boot = ? AND seq = ?", row[:3])
                return KINDS[kind], row[3] + 64
        return None

    def lose(self, gone: Mapping[str, int]) -> None:
        """Count losses."""
        with self.transaction():
            self._count(gone)

    def _count(self, gone: Mapping[str, int]) -> None:
        self.connection.executemany(
            "INSERT INTO evicted VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count",
            gone.items(),
        )

    def evicted(self) -> dict[str, int]:
        return dict(self.connection.execute("SELECT kind, count FROM evicted").fetchall())

    # --- the budget's ledger ---------------------------------------------------------------------------------------

    def ledger(self) -> Ledger | None:
        """As it was kept last."""
        state = self.one("SELECT value FROM meta WHERE name = 'ledger'")
        if state is None:
            return None
        with _reading("the ledger"):
            running, boot, elapsed = json.loads(state)
            cells = self.connection.execute("SELECT minute, bytes FROM ledger").fetchall()
            return Ledger(float(running), str(boot), float(elapsed), {int(cell): int(size) for cell, size in cells})

    def keep(self, ledger: Ledger, *, oldest: int) -> None:
        """Write cells of a ledger; of those that are there, the ones before the oldest are forgotten."""
        state = json.dumps([ledger.running, ledger.boot, ledger.elapsed])
        with self.transaction():
            self.connection.execute("DELETE FROM ledger WHERE minute < ?", (oldest,))
            self.connection.executemany("INSERT OR REPLACE INTO ledger VALUES (?, ?)", ledger.cells.items())
            self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('ledger', ?)", (state,))


def _key(stream: Stream) -> tuple[int, str]:
    return KINDS.index(stream.kind), stream.boot


def _sum(metadata: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(metadata))


def _check(rows: Sequence[tuple[Any, ...]]) -> None:
    for seq, _, checksum, body in rows:
        if zlib.crc32(body) != checksum:
            raise Corrupt(f"message {seq} is not as it was written")


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
    """Values of another type than was written are damage, and no fault of the program."""
    try:
        yield
    except sqlite3.Error:
        raise
    except (TypeError, ValueError) as error:
        raise Corrupt(f"{what} is not as it was written: {error}") from None
