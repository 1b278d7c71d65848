"""The classifier's own copies of packages: each whole or not there, and a link to the one that serves.

models/incoming/        being copied and proved
models/<fingerprint>/   proved once
models/good             leads to the one that serves
"""

import errno
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

MARGIN_BYTES: Final = 16 * 1024 * 1024
"""Stays free beside a copy: others write to this disk too."""
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{32}")
_GOOD: Final = "good"


class Copies:
    """A folder of copies. Every method but `good` and `names` raises OSError where the disk does not do it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"

    def path(self, name: str) -> Path:
        return self.folder / name

    def names(self) -> list[str]:
        """The fingerprints of all copies."""
        try:
            return sorted(path.name for path in self.folder.iterdir() if _FINGERPRINT.fullmatch(path.name))
        except OSError:
            return []

    def good(self) -> str:
        """The fingerprint of the copy that serves; "" if there is none."""
        try:
            name = Path((self.folder / _GOOD).readlink()).name
        except OSError:
            return ""
        return name if _FINGERPRINT.fullmatch(name) else ""

    def copy(self, source: Path) -> Path:
        """Copy a package and have the disk take every byte: it is proved next, and power may go at any moment."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.discard()
        needed = sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) + MARGIN_BYTES
        if (free := shutil.disk_usage(self.folder).free) < needed:
            raise OSError(errno.ENOSPC, f"it needs {needed >> 20} MiB with some to spare, and {free >> 20} are free")
        shutil.copytree(source, self._incoming)
        for folder, _, files in os.walk(self._incoming):
            for path in (*(Path(folder, name) for name in files), Path(folder)):
                flush(path)
        return self._incoming

    def keep(self, name: str) -> Path:
        """Give the incoming copy its name, in place of a damaged one that may have it."""
        shutil.rmtree(self.path(name), ignore_errors=True)
        self._incoming.rename(self.path(name))
        flush(self.folder)
        return self.path(name)

    def point(self, name: str) -> None:
        """Have `good` lead to a copy, in one step that a power cut cannot halve."""
        if self.good() == name:
            return
        fresh = self.folder / "good.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(name)
        fresh.replace(self.folder / _GOOD)
        flush(self.folder)

    def discard(self) -> None:
        """Delete the incoming copy, whole or not."""
        if self._incoming.exists():
            shutil.rmtree(self._incoming)

    def prune(self, keep: Collection[str]) -> None:
        """Delete all copies but these."""
        for name in self.names():
            if name not in keep:
                shutil.rmtree(self.path(name))


def flush(path: Path) -> None:
    """Have the disk take a file's bytes, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
