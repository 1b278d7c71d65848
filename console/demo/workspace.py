"""The folder of one run: its own, gone at the end, its logs kept when the run failed."""

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
DEMO: Final = ROOT / "build" / "demo"
SUMMARY: Final = DEMO / "summary.json"

_LOGS: Final = ("*.log", "*.log.*", "log.txt", "failure", "message", "error.txt")


class Workspace:
    """A folder for everything that a run writes, temporary files of its child processes included."""

    def __init__(self, parent: Path = DEMO) -> None:
        self._parent = parent
        self._temporary: str | None = None

    def __enter__(self) -> Self:
        self._parent.mkdir(parents=True, exist_ok=True)
        # Short: the path of a Unix socket in it may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._parent))
        (self.folder / "tmp").mkdir()
        self._temporary = os.environ.get("TMPDIR")
        self._use(str(self.folder / "tmp"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._use(self._temporary)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def drawn(self) -> Path:
        """Where scenes are drawn."""
        return self.folder / "drawn"

    def _use(self, temporary: str | None) -> None:
        tempfile.tempdir = None
        if temporary is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = temporary

    def keep_logs(self, reason: str) -> Path:
        """Copy every log of the run to a folder that stays, with the reason; returns that folder."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        kept = _new_folder(lambda number: self._parent / (f"failed-{stamp}" + (f"-{number}" if number else "")))
        (kept / "reason.txt").write_text(f"{reason}\n")
        for pattern in _LOGS:
            for log in self.folder.rglob(pattern):
                if log.is_file():
                    copy = kept / log.relative_to(self.folder)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(log, copy)
        return kept


def _new_folder(name: Callable[[int], Path]) -> Path:
    number = 0
    while True:
        try:
            name(number).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return name(number)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that others never see half-written, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
