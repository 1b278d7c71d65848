"""A folder into which a camera writes image files.

A camera should write elsewhere on the same disk and rename into the folder. One that writes in place is tolerated: a
young file that cannot be read is left alone until it has settled.
"""

import contextlib
import itertools
import logging
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from classifier.clock import Clock
from classifier.frames import Frame, Unreadable

log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 1.0
MAXIMUM_BYTES: Final = 64 * 1024 * 1024
BATCH: Final = 10_000
"""Files held in mind at a time, the first by name; a folder may hold the frames of months,"""
STEP: Final = 50_000
"""of which so many are looked at in one call."""


class Gone(Unreadable):
    """There is no such file any more."""


def listed(folder: Path) -> Iterator[str]:
    """The names of regular files; hidden files, folders, links and pipes are not frames."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                yield entry.name


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        Gone: somebody took it away.
        Unreadable: it is forbidden, no regular file any more, or too large to be a frame.
    """
    try:
        # What became a pipe since it was listed must not hold the thread.
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("no regular file any more")
            if status.st_size > MAXIMUM_BYTES:
                raise Unreadable(f"{status.st_size} bytes; at most {MAXIMUM_BYTES} are read")
            return os.read(file, status.st_size)
        finally:
            os.close(file)
    except FileNotFoundError as error:
        raise Gone(str(error)) from None
    except OSError as error:
        raise Unreadable(str(error)) from None


def printable(name: str) -> str:
    """A name of any bytes, as text on one line that can be written and obeyed by no terminal.

    >>> printable("a\\nERROR b\\udcff.jpg")
    'a\\\\nERROR b\\\\udcff.jpg'
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)


class Kept:
    """A folder that keeps the newest so many files: the disk of a device is small."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._names: dict[str, None] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._names = dict.fromkeys(sorted(listed(folder), key=lambda name: _changed_at(folder / name)))
        except OSError as error:
            log.warning("nothing can be kept: %s", error)
        self._prune()

    def take(self, path: Path) -> None:
        """Move a file in, in place of one of the same name.

        Raises:
            OSError: it stays where it is.
        """
        if not self._keep:
            path.unlink(missing_ok=True)
            return
        shutil.move(path, self._folder / path.name)  # the folder of frames may be on another disk
        self._names.pop(path.name, None)
        self._names[path.name] = None
        self._prune()

    def _prune(self) -> None:
        while len(self._names) > self._keep:
            oldest = next(iter(self._names))
            del self._names[oldest]
            with contextlib.suppress(OSError):
                (self._folder / oldest).unlink()


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class Folder:
    """Takes each file once: a frame leaves the folder by `finish` or by `set_aside`."""

    live = False
    exhausted = False

    def __init__(
        self, folder: Path, *, done: Path, unreadable: Path, clock: Clock, poll_seconds: float, keep: int
    ) -> None:
        with contextlib.suppress(OSError):  # told when it is looked for
            folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._clock, self._poll_seconds = folder, clock, poll_seconds
        self._done, self._unreadable = Kept(done, keep), Kept(unreadable, keep)
        self._looking: Iterator[str] | None = None
        self._found: list[str] = []
        self._waiting: list[str] = []
        """Found and to be handed on, the last one first."""
        self._look_at = clock.elapsed()
        self._out: set[str] = set()
        """Handed on and not yet moved away."""
        self._settling: dict[str, float] = {}
        """Of those, what may still be being written, and when it is handed on again."""
        self._lock = threading.Lock()

    def next(self, stop: threading.Event) -> Frame | None:
        path = self._take(stop)
        if path is None:
            return None
        frame = Frame(printable(path.name), self._clock.elapsed(), path=path)
        try:
            return Frame(frame.name, frame.taken, content=read(path), path=path)
        except Gone:
            # Most often it was dealt with while the folder was being listed.
            with self._lock:
                self._out.discard(path.name)
            return None
        except Unreadable as error:
            if not self.set_aside(frame, str(error)):
                return None
            raise

    def finish(self, frame: Frame) -> None:
        self._leave(frame, self._done)

    def set_aside(self, frame: Frame, reason: str) -> bool:
        if frame.path is not None and self._young(frame.path):
            with self._lock:
                self._settling[frame.path.name] = self._clock.elapsed() + SETTLE_SECONDS
            return False
        log.warning("%s is set aside: %s", frame.name, reason)
        self._leave(frame, self._unreadable)
        return True

    def close(self) -> None:
        """Nothing is held open."""

    def _take(self, stop: threading.Event) -> Path | None:
        """The next path that was not handed on yet."""
        if not self._waiting and not self._look(stop):
            return None
        with self._lock:
            while self._waiting:
                name = self._waiting.pop()
                if name not in self._out:
                    self._out.add(name)
                    return self._folder / name
        return None

    def _look(self, stop: threading.Event) -> bool:
        """Look at a bounded number of files; True when all were looked at and the first of them are waiting."""
        if self._looking is None:
            rest = self._look_at - self._clock.elapsed()
            if rest > 0:
                stop.wait(min(rest, 1.0))
                return False
            self._settled()
            self._looking, self._found = listed(self._folder), []
        looked = 0
        try:
            for name in itertools.islice(self._looking, STEP):
                looked += 1
                if name not in self._out:
                    self._found.append(name)
                if len(self._found) >= 2 * BATCH:
                    self._found = sorted(self._found)[:BATCH]
            if looked == STEP:
                return False
        except OSError as error:
            log.warning("frames are looked for in vain: %s", error)
        self._looking = None
        self._waiting = sorted(self._found)[:BATCH][::-1]
        if not self._waiting:
            self._look_at = self._clock.elapsed() + self._poll_seconds
        return bool(self._waiting)

    def _settled(self) -> None:
        """Forget of files that had their time that they were handed on."""
        now = self._clock.elapsed()
        with self._lock:
            for name in [name for name, until in self._settling.items() if until <= now]:
                del self._settling[name]
                self._out.discard(name)

    def _young(self, path: Path) -> bool:
        """Whether the file changed so recently that a camera may not have finished it.

        A change that lies in the future says that the clock was set back, not that the file is young.
        """
        try:
            status = path.stat(follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and 0 <= self._clock.wall() - status.st_mtime < SETTLE_SECONDS

    def _leave(self, frame: Frame, kept: Kept) -> None:
        if frame.path is None:
            return
        with self._lock:
            try:
                kept.take(frame.path)
            except FileNotFoundError:
                pass
            except OSError as error:
                # It stays among those handed on: nothing is gained by classifying it again and again.
                log.warning("%s stays where it is: %s", frame.name, error)
                return
            self._out.discard(frame.path.name)
