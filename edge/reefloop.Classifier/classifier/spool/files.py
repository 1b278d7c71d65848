"""The file of the spool: what becomes of one that is corrupt, and what each error of SQLite means."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from classifier.spool.database import sync
from classifier.spool.store import Store

FILE: Final = "spool.db"
_ASIDE: Final = "spool.corrupt-"
_HEAD: Final = b"SQLite format 3\0"
_LOGS: Final = ("-wal", "-shm", "-journal")
# https://www.sqlite.org/rescode.html: what the disk does to a database that is whole. All else is damage.
_DISK: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)
_UNREADABLE: Final = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})


def corrupt(error: Exception) -> bool:
    """Whether an error means that the file is damaged, and not that the disk does not work."""
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code in _UNREADABLE or code & 0xFF not in _DISK


def full(error: Exception) -> bool:
    """Whether an error means that there is no room."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def open_on_disk(folder: Path, *, damage: Exception | None = None) -> tuple[Store, str]:
    """The database of a folder, or a new one where there is none or `damage` was found in it; and what was amiss.

    Raises:
        sqlite3.Error: the file is damaged, if that is what `corrupt` makes of it: call again and name it.
        OSError, sqlite3.Error: the disk does not work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, trouble = folder / FILE, ""
    if reason := str(damage) if damage else _at_first_sight(folder):
        trouble = f"a corrupt spool was set aside as {_set_aside(folder).name}: {reason}"
    if not path.exists():
        _begin(path, lost=any(folder.glob(f"{_ASIDE}*")))
    return Store(path, lost=False), trouble


def _begin(path: Path, *, lost: bool) -> None:
    """Give a new database its name once it is whole: half of one would be taken for damage after a power cut."""
    draft = path.with_name(f"{path.name}.new")
    _discard(draft)
    try:
        Store(draft, lost=lost).close()
        draft.rename(path)
    except (sqlite3.Error, OSError):
        _discard(draft)
        raise
    sync(path.parent)


def make_room(folder: Path) -> None:
    """Give a full disk what was set aside only to be looked at."""
    for path in folder.glob(f"{_ASIDE}*"):
        _discard(path)


def _at_first_sight(folder: Path) -> str:
    """What is wrong with the files of the spool, where SQLite would not see it or would not say it."""
    path = folder / FILE
    logs = [path.with_name(FILE + suffix) for suffix in _LOGS]
    if odd := [each.name for each in (path, *logs) if each.exists() and not each.is_file()]:
        return f"{odd[0]} is no file"
    if path.exists():
        with path.open("rb") as file:
            if (head := file.read(len(_HEAD))) != _HEAD:
                return f"{FILE} is {'not a database' if head else 'empty'}"
    if not path.exists() and not path.is_symlink() and (left := [log.name for log in logs if log.exists()]):
        return f"{left[0]} is there without {FILE}"
    return ""


def _set_aside(folder: Path) -> Path:
    """Rename the database and its logs; only the latest is kept, for a person to look at.

    Raises:
        OSError: the folder cannot be written.
    """
    before = [each for each in folder.glob(f"{_ASIDE}*") if each.name.removeprefix(_ASIDE).isdigit()]
    number = max((int(each.name.removeprefix(_ASIDE)) for each in before), default=0) + 1
    make_room(folder)
    aside = folder / f"{_ASIDE}{number}"
    for suffix in (*_LOGS, ""):
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{FILE}{suffix}").rename(f"{aside}{suffix}")
    return aside


def _discard(path: Path) -> None:
    """Delete a file and its logs. A folder is somebody's, and stays."""
    for suffix in (*_LOGS, ""):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()
