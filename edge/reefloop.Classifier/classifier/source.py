"""Where frames come from: a folder into which a camera writes image files.

A camera should write elsewhere and rename into the folder. One that writes in place is tolerated: a young file that
cannot be read is left alone until it has settled.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from classifier.frames import Unreadable

SETTLE_SECONDS = 1.0
MAXIMUM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Frame:
    """The original bytes of one file."""

    path: Path
    content: bytes

    @property
    def name(self) -> str:
        return self.path.name


class FolderSource:
    """Takes each file of a folder once: a frame leaves the folder by `finish` or by `set_aside`."""

    def __init__(self, folder: Path, *, done: Path, unreadable: Path) -> None:
        self.folder, self._done, self._unreadable = folder, done, unreadable
        for needed in (folder, done, unreadable):
            needed.mkdir(parents=True, exist_ok=True)

    def waiting(self) -> Iterator[Path]:
        """Regular files in order of name; hidden files, folders, links and pipes are not frames."""
        with os.scandir(self.folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            )
        return (self.folder / name for name in names)

    def read(self, path: Path) -> Frame:
        """The frame in a file.

        Raises:
            Unreadable: it is gone, forbidden, or too large to be a frame.
        """
        try:
            size = path.stat().st_size
            if size > MAXIMUM_BYTES:
                raise Unreadable(f"{size} bytes; at most {MAXIMUM_BYTES} are read")
            return Frame(path, path.read_bytes())
        except OSError as error:
            raise Unreadable(str(error)) from None

    def still_written(self, path: Path) -> bool:
        """Whether the file changed so recently that a camera may not have finished it.

        A change that lies in the future says that the clock was set back, not that the file is young.
        """
        try:
            status = path.stat()
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and 0 <= time.time() - status.st_mtime < SETTLE_SECONDS

    def finish(self, path: Path) -> None:
        """The frame is dealt with; it is never read again."""
        path.replace(self._done / path.name)

    def set_aside(self, path: Path) -> None:
        """The file is no frame; it stays for whoever wants to know why."""
        path.replace(self._unreadable / path.name)

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` files of each kind: the disk of a device is small."""
        for folder in (self._done, self._unreadable):
            files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
            for path in files[: max(0, len(files) - keep)]:
                path.unlink(missing_ok=True)
