"""The component as it runs on a device, with all of its threads, before a cloud that takes and acknowledges at once."""

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from classifier.clock import SystemClock
from classifier.pipeline.parts import Surroundings
from classifier.pipeline.steps import Store
from classifier.pipeline.supervisor import Supervisor
from classifier.uplink.sender import Sender
from classifier.uplink.uploader import Uploader
from device.cloud import THING, Cloud
from device.times import Times

PATIENCE_SECONDS = 120.0


class Component:
    """Running between `with` and the end of the block, with a folder as its camera."""

    def __init__(self, folder: Path, package: Path, **configuration: Any) -> None:
        self._frames, self._fed = folder / "work" / "frames", 0
        self._frames.mkdir(parents=True)
        link = folder / "current"
        link.symlink_to(package)
        self.cloud = Cloud({"bucket": "bench", "poll_seconds": 0.1} | configuration)
        self._clock = SystemClock()
        self.supervisor = Supervisor(
            Surroundings(
                thing=THING,
                work=folder / "work",
                model=link,
                clock=self._clock,
                nucleus=self.cloud,
                sender=self._sender,
                uploader=self._uploader,
            )
        )
        self._times, self._wanted, self._done = Times(), 0, threading.Event()
        health = self.supervisor.parts.health
        self._count, health.frame = health.frame, self._frame  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self.supervisor.run, name="supervisor")

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.supervisor.parts.models.serving is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no model serves: {self.supervisor.parts.models.told}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.supervisor.stop()
        self._thread.join()

    def run(self, frames: Sequence[Path]) -> Times:
        """Let a camera write these files, and wait until each is classified."""
        self._times, self._wanted = Times(), len(frames)
        self._done.clear()
        for path in frames:
            self._fed += 1
            os.link(path, self._frames / f"{self._fed:09d}.jpg")
        if not self._done.wait(PATIENCE_SECONDS):
            raise TimeoutError(f"{len(self._times.done_at)} of {len(frames)} frames came out")
        return self._times

    def _frame(self, milliseconds: float) -> None:
        self._count(milliseconds)
        self._times.add(milliseconds)
        if len(self._times.done_at) == self._wanted:
            self._done.set()

    def _sender(self, store: Store) -> Sender:
        return Sender(self.cloud, store.spool, store.budget, self._clock, THING)  # type: ignore[arg-type]

    def _uploader(self, store: Store, _bucket: str) -> Uploader:
        return Uploader(self.cloud.put, store.spool, store.budget, self._clock)
