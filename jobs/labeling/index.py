"""The working index of a merge: every line of the dataset before and of the round, on the job's disk.

A million lines are a million rows of a SQLite database in a folder that lives as long as the job; its page cache is
bounded, so memory stays flat. Nothing of it is kept: a job that is run again begins with an empty one.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

Row = tuple[Any, ...]

CACHE_KIB: Final = 4096
NONE, MACHINE, HUMAN = range(3)
"""Who labeled a line. The greater counts before the smaller."""

_SCHEMA: Final = """
CREATE TABLE lines (
    id INTEGER PRIMARY KEY,
    object TEXT,          -- the content, NULL as long as it is not known
    bare INTEGER,         -- the line itself names no content
    source_ref TEXT,
    added INTEGER,        -- 0: of the dataset before, 1: of the round
    labeler INTEGER,      -- NONE, MACHINE, HUMAN
    created TEXT,         -- when it was labeled
    split INTEGER,        -- that it had in the dataset before
    fingerprint INTEGER,  -- 64 bits, as SQLite's signed ones
    origin TEXT,          -- the round that it comes from
    classes TEXT,         -- {class: how many}
    text TEXT);
CREATE TABLE gold (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gold_looks (fingerprint INTEGER PRIMARY KEY);
CREATE TABLE left_over (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE objects (                     -- what stays of the lines: each object once, in order
    object TEXT PRIMARY KEY, line INTEGER, split INTEGER, fingerprint INTEGER) WITHOUT ROWID;
CREATE TABLE decided (fingerprint INTEGER PRIMARY KEY, split INTEGER);
"""


class Line(NamedTuple):
    """One row of lines, in the order of its columns, without the id."""

    object: str | None
    bare: bool
    source_ref: str
    added: bool
    labeler: int
    created: str
    split: int | None
    fingerprint: int | None
    origin: str
    classes: str
    text: str


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """An empty index in an empty folder, which is removed with it.

    What SQLite sorts goes to the same disk: https://www.sqlite.org/tempfiles.html#temporary_file_storage_locations
    """
    os.environ["SQLITE_TMPDIR"] = str(folder)
    connection = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
    try:
        # Nothing here outlives the job, so nothing is made safe against its end.
        connection.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
            f"PRAGMA temp_store = FILE; PRAGMA cache_size = -{CACHE_KIB}; {_SCHEMA}"
        )
        yield connection
    finally:
        connection.close()
        shutil.rmtree(folder)


def put(index: sqlite3.Connection, lines: Iterable[Line]) -> int:
    """Add lines; how many."""
    before = index.total_changes
    places = ", ".join("?" * len(Line._fields))
    with transaction(index):
        index.executemany(f"INSERT INTO lines VALUES (NULL, {places})", lines)  # noqa: S608 (question marks alone)
    return index.total_changes - before


def put_names(index: sqlite3.Connection, table: str, names: Iterable[str]) -> None:
    """Add names to one of the tables gold and left_over."""
    with transaction(index):
        index.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((name,) for name in names))  # noqa: S608


def put_looks(index: sqlite3.Connection, fingerprints: Iterable[int | None]) -> None:
    """Add the fingerprints of gold."""
    with transaction(index):
        known = ((one,) for one in fingerprints if one is not None)
        index.executemany("INSERT OR IGNORE INTO gold_looks VALUES (?)", known)


def identify(index: sqlite3.Connection) -> None:
    """Give a line without content the content of its source-ref where another line tells it, else the source-ref.

    An import knows no contents: this is how its labels find the objects that earlier rounds have listed.
    """
    index.execute("CREATE INDEX by_source_ref ON lines (source_ref)")
    with transaction(index):
        index.execute(
            "UPDATE lines SET object = coalesce((SELECT other.object FROM lines other"
            " WHERE other.source_ref = lines.source_ref AND NOT other.bare"
            " ORDER BY other.added DESC, other.created DESC, other.object DESC LIMIT 1), source_ref) WHERE bare"
        )


def drop_left_over(index: sqlite3.Connection) -> None:
    """Take out the audit objects that nobody has labeled yet: they are offered again."""
    _drop(index, "added AND NOT labeler AND source_ref IN left_over")


def drop_gold(index: sqlite3.Connection) -> int:
    """Take gold out, which never becomes training data; how many labels of the round that were."""
    return _drop(index, "object IN gold OR source_ref IN gold")


def drop_overwritten(index: sqlite3.Connection) -> int:
    """Where a source-ref holds another content than before, the object that it held is gone.

    Its label would be trained on with the new picture, perhaps in another split than the new object is in. Returns how
    many labels of the round that were.
    """
    return _drop(
        index,
        "source_ref IN (SELECT source_ref FROM lines GROUP BY source_ref HAVING min(object) <> max(object))"
        " AND object <> (SELECT newest.object FROM lines newest WHERE newest.source_ref = lines.source_ref"
        " ORDER BY newest.added DESC, newest.created DESC, newest.object DESC LIMIT 1)",
    )


def _drop(index: sqlite3.Connection, condition: str) -> int:
    with transaction(index):
        labels = f"SELECT count(*) FROM lines WHERE ({condition}) AND added AND labeler"  # noqa: S608 (literals)
        (count,) = index.execute(labels).fetchone()
        index.execute(f"DELETE FROM lines WHERE {condition}")  # noqa: S608
    return int(count)


class Candidate(NamedTuple):
    """What decides between the lines of an object; as in Line, whose rowid it has."""

    id: int
    added: int
    labeler: int
    split: int | None
    fingerprint: int | None


def by_object(index: sqlite3.Connection) -> Iterator[tuple[str, list[Candidate]]]:
    """Every object with its lines, worst first.

    A person's label is better than a machine's, then the round's than an earlier one, then the newer; where even that
    is equal, the text decides, so the order of input lines never does.
    """
    index.execute("CREATE INDEX by_object ON lines (object, labeler, added, created)")
    rows = index.execute(
        f"SELECT object, {', '.join(Candidate._fields)} FROM lines"  # noqa: S608 (names)
        " ORDER BY object, labeler, added, created, text"
    )
    for name, lines in groupby(rows, itemgetter(0)):
        yield name, [Candidate(*line[1:]) for line in lines]


@contextmanager
def transaction(index: sqlite3.Connection) -> Iterator[None]:
    index.execute("BEGIN")
    yield
    index.execute("COMMIT")
