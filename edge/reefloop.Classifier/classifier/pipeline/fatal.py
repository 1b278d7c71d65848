"""The file at which a process died is not what the next ones die of too.

An image that makes a decoder or a runtime end the process comes again at the next start, and nucleus lite starts a
component three times an hour. So the file in hand is noted where that outlives the process, though not a power cut:
in a file that is never flushed, at a few microseconds a frame.
"""

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

DEATHS: Final = 2
"""A kill, or a want of memory, may hit any file once."""
_LONGEST: Final = 4096


class InHand:
    """The note. Where the disk does not take it, files are tried as often as they come."""

    def __init__(self, path: Path) -> None:
        self._file, self._deaths, self._name = -1, 0, ""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            deaths, _, self._name = os.pread(self._file, _LONGEST, 0).partition(b"\n")[0].decode().partition(" ")
            self._deaths = int(deaths or 0)
        except (OSError, ValueError) as error:
            log.debug("%s is not readable: %s", path, error)

    def take(self, name: str) -> bool:
        """Note that this file is in hand; False where so many processes have ended with it in hand."""
        deaths = 0
        if name == self._name:
            deaths, self._name = self._deaths + 1, ""
        if deaths >= DEATHS:
            return False
        self._note(f"{deaths} {name}")
        return True

    def done(self) -> None:
        """It was survived."""
        self._note("")

    def _note(self, text: str) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, f"{text}\n".encode(), 0)
