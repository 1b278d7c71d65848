"""Stand-ins for cameras, and a stop on which waiting costs no time."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from classifier.clock import ManualClock

WIDTH, HEIGHT = 64, 48


class Patience(threading.Event):
    """A stop that lets the manual clock run instead of waiting."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.advance(timeout)
        return self.is_set()


class FakeCapture:
    """cv2.VideoCapture of a camera that takes `fps` pictures a second and delivers `frames` of them."""

    def __init__(self, clock: ManualClock, *, fps: float = 10, frames: float = float("inf"), opened: bool = True):
        self._clock, self._fps, self._frames, self._opened = clock, fps, frames, opened
        self.grabbed, self.retrieved, self.released = 0, 0, 0
        self.pixels: Any = np.dstack([np.full((HEIGHT, WIDTH), value, np.uint8) for value in (10, 20, 30)])  # BGR

    def isOpened(self) -> bool:
        return self._opened

    def grab(self) -> bool:
        assert not self.released, "a released capture was used: OpenCV would crash"
        self._clock.advance(1 / self._fps)
        self.grabbed += 1
        return self.grabbed <= self._frames

    def retrieve(self) -> tuple[bool, Any]:
        self.retrieved += 1
        return self.pixels is not None, self.pixels

    def get(self, property_id: int) -> float:
        return 0.0

    def release(self) -> None:
        assert not self.released, "released twice"
        self.released += 1


class Cameras:
    """An opener that hands out captures in turn and keeps them; the last one's kind for ever."""

    def __init__(self, clock: ManualClock, *makes: Callable[[], FakeCapture]) -> None:
        self._clock, self._makes = clock, makes
        self.opened: list[FakeCapture] = []
        self.addresses: list[str] = []
        self.times: list[float] = []

    def __call__(self, address: str) -> FakeCapture:
        self.addresses.append(address)
        self.times.append(self._clock.elapsed())
        capture = self._makes[min(len(self.opened), len(self._makes) - 1)]()
        self.opened.append(capture)
        return capture


def write_video(path: Path, levels: list[int], *, fps: float = 10.0) -> Path:
    """A motion JPEG video with a grey picture per level."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (WIDTH, HEIGHT))  # type: ignore[attr-defined]
    for level in levels:
        writer.write(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    writer.release()
    return path


def pictures(content: bytes) -> Iterator[int]:
    """Where the pictures of a motion JPEG video begin."""
    at = content.find(b"\xff\xd8\xff")
    while at >= 0:
        yield at
        at = content.find(b"\xff\xd8\xff", at + 1)
