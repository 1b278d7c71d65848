"""The file of the spool, and what becomes of one that cannot be used."""

import secrets
from pathlib import Path
from typing import Final

from classifier.clock import Clock

FILE: Final = "spool.db"


def new_boot(clock: Clock) -> str:
    """A name for one start: no other has it, even where the clock is always wrong."""
    return f"{min(max(0, int(clock.wall() * 1000)), 10**13 - 1):013d}-{secrets.token_hex(4)}"


def set_aside(path: Path) -> Path:
    """Rename the file and its log to <name>.corrupt-<n>; where they are now.

    Raises:
        OSError: the folder cannot be written.
    """
    taken = [int(each.suffix[9:]) for each in path.parent.glob(f"{path.name}.corrupt-*") if each.suffix[9:].isdigit()]
    aside = path.with_name(f"{path.name}.corrupt-{max(taken, default=0) + 1}")
    for suffix in ("-wal", "-shm", "-journal"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    return aside
