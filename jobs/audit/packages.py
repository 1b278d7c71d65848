"""Which packages an image's package manager takes for installed."""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.audit.image import Image
from jobs.audit.reading import DATABASES

# A package's header begins its data with region-less strings: the locale C, then name, version and release, each ended
# by a zero. https://rpm-software-management.github.io/rpm/manual/format_v4.html
_HEADER: Final = re.compile(
    rb"C\0([A-Za-z0-9][A-Za-z0-9+._-]{1,120})\0[0-9][A-Za-z0-9+._~^]{0,60}\0[A-Za-z0-9+._~^]{1,60}\0"
)
_OVERLAP: Final = 1024


def installed(image: Image) -> Iterator[tuple[str, str]]:
    """(name, database) of each package: of dpkg's status files and of rpm's databases of every format.

    rpm's older formats, Berkeley DB and ndb, are searched for package headers without reading the format itself: a
    header that the format cut into two pages just inside its name is missed.
    """
    for path, entry in sorted(image.entries.items()):
        if not isinstance(entry.content, Path) or not DATABASES.match(path):
            continue
        if path.startswith("var/lib/dpkg/"):
            names = _dpkg(entry.content)
        elif path.endswith("/rpmdb.sqlite"):
            log = image.entries.get(f"{path}-wal")
            names = _sqlite(entry.content, log.content if log and isinstance(log.content, Path) else None)
        elif path.endswith("-wal"):
            continue
        else:
            names = _headers(entry.content)
        yield from ((name, path) for name in sorted(set(names)))


def _dpkg(status: Path) -> Iterator[str]:
    """https://manpages.debian.org/bookworm/dpkg/dpkg-query.1.en.html: removed packages leave an entry of their own."""
    name, is_there = "", True
    with status.open(encoding="utf-8", errors="replace") as lines:
        for line in (*lines, "\n"):
            if line.startswith("Package:"):
                name = line.partition(":")[2].strip()
            elif line.startswith("Status:"):
                is_there = line.split()[-1] not in ("not-installed", "config-files")
            elif not line.strip():
                if name and is_there:
                    yield name
                name, is_there = "", True


def _sqlite(database: Path, log: Path | None) -> Iterator[str]:
    """rpm keeps an index of names: https://github.com/rpm-software-management/rpm/blob/master/lib/backend/sqlite.cc."""
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        # What rpm wrote last may be in the log beside the database only.
        copy = Path(shutil.copy(database, Path(folder, "rpmdb.sqlite")))
        if log:
            shutil.copy(log, f"{copy}-wal")
        connection = sqlite3.connect(copy)
        try:
            yield from (str(name) for (name,) in connection.execute("SELECT DISTINCT key FROM Name"))
        except sqlite3.DatabaseError:
            yield from _headers(database)
        finally:
            connection.close()


def _headers(database: Path) -> Iterator[str]:
    with database.open("rb") as file:
        before = b""
        while block := file.read(1 << 20):
            yield from (match[1].decode() for match in _HEADER.finditer(before + block))
            before = block[-_OVERLAP:]
