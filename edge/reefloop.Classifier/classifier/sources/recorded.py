"""Recorded frames of a folder, once through and untouched: what a replay reads."""

import threading
from pathlib import Path

from classifier.clock import Clock
from classifier.frames import Frame
from classifier.sources.folder import listed, printable, read


class Recorded:
    """Files in order of name, as if a camera had taken them at `frames_per_second`."""

    live = False

    def __init__(self, folder: Path, *, clock: Clock, frames_per_second: float) -> None:
        self._paths = [folder / name for name in sorted(listed(folder))]
        self._begun, self._period = clock.elapsed(), 1 / frames_per_second
        self._next = 0

    @property
    def exhausted(self) -> bool:
        return self._next >= len(self._paths)

    def next(self, stop: threading.Event) -> Frame | None:
        if self.exhausted or stop.is_set():
            return None
        path, taken = self._paths[self._next], self._begun + self._next * self._period
        self._next += 1
        return Frame(printable(path.name), taken, content=read(path), path=path)

    def finish(self, frame: Frame) -> None:
        """Nothing: it is not ours."""

    def set_aside(self, frame: Frame, reason: str) -> bool:  # noqa: ARG002
        """Every file is whole, or will never be."""
        return True

    def close(self) -> None:
        self._next = len(self._paths)
