"""Which files the audit opens, how far, and how it walks a folder."""

import os
import re
import shutil
import stat
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from jobs.audit import secrets
from jobs.audit.image import Entry, Image, NotAuditable

SMALL_BYTES: Final = 64 * 1024
"""Files up to this size are searched for credentials, and start scripts read."""

DATABASES: Final = re.compile(
    r"^(var/lib/dpkg/(status|status\.d/[^/]+)|(var/lib/rpm|usr/lib/sysimage/rpm)/(rpmdb\.sqlite(-wal)?|Packages(\.db)?))$"
)
_KEPT: Final = re.compile(r"^etc/ld\.so\.conf(\.d/[^/]+)?$|\.sh$")
# What the kernel makes up. A running system has them below its root, an image has not.
_NOT_FILES: Final = frozenset({"proc", "sys", "dev", "run"})


@dataclass(frozen=True)
class Reader:
    """Reads files one at a time. Databases of packages are copied to `scratch`: they are too large for the memory."""

    scratch: Path
    _numbers: "count[int]" = field(default_factory=count)

    def read(self, path: str, size: int, executable: bool, stream: BinaryIO | None) -> Entry:
        """What is kept of a file; without a stream, its name alone."""
        if stream is None or not size:
            return Entry(size, executable)
        if DATABASES.match(path):
            copy = self.scratch / str(next(self._numbers))
            with copy.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            return Entry(size, executable, content=copy)
        if size > SMALL_BYTES:
            return Entry(size, executable)
        text = stream.read(SMALL_BYTES)
        kept = text if _KEPT.search(path) or text.startswith(b"#!") else None
        return Entry(size, executable, content=kept, secrets=secrets.of_file(path, text))


def folder(root: Path, reader: Reader) -> Image:
    """The files below a folder; other file systems that are mounted below it are part of it.

    Raises:
        NotAuditable: it cannot be listed, or nothing is in it.
    """
    image = Image({})
    for place, folders, files in os.walk(root, onerror=lambda error: image.unreadable.append(str(error.filename))):
        if place == str(root):
            folders[:] = [name for name in folders if name not in _NOT_FILES]
        for name in (*files, *(name for name in folders if Path(place, name).is_symlink())):
            path = Path(place, name)
            inside = path.relative_to(root).as_posix()
            try:
                image.entries[inside] = _entry(path, inside, reader)
            except OSError:
                image.unreadable.append(inside)
    if not image.entries:
        raise NotAuditable(
            f"{root} has no files that can be read: give the root of a file system or an image's tarball"
        )
    return image


def _entry(path: Path, inside: str, reader: Reader) -> Entry:
    about = path.lstat()
    if stat.S_ISLNK(about.st_mode):
        return Entry(0, target=str(path.readlink()))
    executable = bool(about.st_mode & 0o111)
    if not stat.S_ISREG(about.st_mode):
        return Entry(0, executable)
    if about.st_size > SMALL_BYTES and not DATABASES.match(inside):
        return Entry(about.st_size, executable)
    with path.open("rb") as file:
        return reader.read(inside, about.st_size, executable, file)
