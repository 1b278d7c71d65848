"""The log of results: every frame's answer, kept on the device for whoever comes to read it, and bounded in bytes."""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from classifier.clock import Clock
from classifier.pipeline.health import MIB
from classifier.pipeline.worker import Result

log = logging.getLogger(__name__)

FILES: Final = 4
"""A full log has so many; the oldest goes when the next begins."""


def line(result: Result, *, at: float) -> str:
    """A result as JSON; `at` is in seconds since 1970."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {
            "frame": result.frame,
            "label": result.label,
            "probability": round(result.probability, 6),
            "model_version": result.model_version,
            "at": moment,
        }
    )


class Results:
    """Lines in numbered files of a folder. A disk that does not take them costs lines, and is said once."""

    def __init__(self, folder: Path, *, clock: Clock, limit_mib: int) -> None:
        self._folder, self._clock = folder, clock
        self._file: TextIOWrapper | None = None
        self._written, self._trouble = 0, ""
        self.configure(limit_mib)

    def configure(self, limit_mib: int) -> None:
        """Keep at most so much; 0 writes nothing more and leaves what is there."""
        self._limit = limit_mib * MIB

    def add(self, results: Iterable[Result]) -> None:
        """Append lines. They are on the disk when the operating system gets round to it."""
        text = "".join(f"{line(result, at=self._clock.wall())}\n" for result in results)
        if not text or not self._limit:
            return
        try:
            self._append(text)
        except OSError as error:
            self.close()
            if str(error) != self._trouble:
                log.warning("results are not logged: %s", error)
            self._trouble = str(error)

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                return  # its last lines are lost, as was said

    def _append(self, text: str) -> None:
        if self._file is None or self._written + len(text) > self._limit // FILES:
            self.close()
            self._file = self._begin()
            self._written = 0
        self._file.write(text)
        self._file.flush()
        self._written += len(text)
        self._trouble = ""

    def _begin(self) -> TextIOWrapper:
        """The next file; numbers, as a clock that was set back would begin a day twice."""
        self._folder.mkdir(parents=True, exist_ok=True)
        present = sorted(path for path in self._folder.glob("*.jsonl") if path.stem.isdigit())
        size = sum(path.stat().st_size for path in present) + self._limit // FILES
        for path in present:
            if size <= self._limit:
                break
            size -= path.stat().st_size
            path.unlink()
        number = int(present[-1].stem) + 1 if present else 1
        return (self._folder / f"{number:010d}.jsonl").open("a", encoding="utf-8")
