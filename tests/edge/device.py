"""What stands around the component in its tests."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from classifier import spool
from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Frame, Unreadable
from classifier.messages import Record
from classifier.models.model import Answer
from classifier.models.outcome import Outcome
from classifier.pipeline.memory import remember
from classifier.pipeline.parts import Surroundings
from classifier.pipeline.supervisor import Supervisor
from classifier.spool import Spool, StoredUpload
from classifier.uplink.nucleus import Unavailable

THING = "reef-1"


def eventually(true: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


def said(caplog: pytest.LogCaptureFixture, module: ModuleType) -> list[str]:
    """What a module logged: a thread of an earlier test may still have a word to say."""
    return [record.getMessage() for record in caplog.records if record.name == module.__name__]


class Camera:
    """A source that gives what it is given."""

    def __init__(self, *, live: bool = False) -> None:
        self.live, self.exhausted = live, False
        self.frames: deque[Frame | Exception] = deque()
        self.handed: list[str] = []
        self.finished: list[str] = []
        self.aside: dict[str, str] = {}
        self.still_written: set[str] = set()
        self.hang: threading.Event | None = None
        self.closed = False

    def see(self, *names: str, taken: float = 0.0) -> None:
        """Frames whose content is their name."""
        self.frames += [Frame(name, taken, content=name.encode()) for name in names]

    def next(self, stop: threading.Event) -> Frame | None:
        if self.hang is not None:
            self.hang.wait(600)
        try:
            frame = self.frames.popleft()
        except IndexError:
            stop.wait(0.001)
            return None
        if isinstance(frame, Exception):
            raise frame
        self.handed.append(frame.name)
        return frame

    def finish(self, frame: Frame) -> None:
        self.finished.append(frame.name)

    def set_aside(self, frame: Frame, reason: str) -> bool:
        if frame.name in self.still_written:
            return False
        self.aside[frame.name] = reason
        return True

    def close(self) -> None:
        self.closed = True


def answer(label: str = "crab", **changes: Any) -> Answer:
    """One that the model is sure of."""
    values = {"probability": 0.99, "margin": 0.98, "entropy": 0.05, "unsure": False, "unknown": False}
    return Answer(label, **(values | changes))


UNSURE = {"probability": 0.4, "margin": 0.05, "entropy": 0.9, "unsure": True}


class Oracle:
    """A model that reads the label off the frame's name: crab-1.jpg is a crab, unsure-crab-1.jpg might be one, and
    unknown-1.jpg is nothing known. broken-1.jpg is no image; at faulty-1.jpg the runtime raises, at stuck-1.jpg it
    hangs.
    """

    def __init__(self, version: str = "m1") -> None:
        self.package = SimpleNamespace(version=version, target="test")
        self.runtime, self.notes = "oracle", ""
        self.release = threading.Event()
        self.asked: list[str] = []

    def classify(self, frame: Frame) -> Answer:
        self.asked.append(frame.name)
        kind, *rest = frame.name.split("-")
        if kind == "broken":
            raise Unreadable("this is no image")
        if kind == "faulty":
            raise RuntimeError("the runtime is upset")
        if kind == "stuck":
            self.release.wait(600)
        if kind == "unsure":
            return answer(rest[0], **UNSURE)
        return answer(kind, unknown=kind == "unknown")


class Shelf:
    """A keeper that takes the model that is put there."""

    def __init__(self, model: Oracle | None) -> None:
        self.model: Oracle | None = model
        self.serving: Any = None
        self.reloads, self.clean = 0, False
        self.configured: list[Configuration] = []
        self.refusal = ""

    def __call__(self, link: Path, folder: Path, configuration: Configuration, *, clock: Any) -> "Shelf":
        self.configured.append(configuration)
        return self

    def start(self) -> Outcome | None:
        return None

    def poll(self) -> Outcome | None:
        if self.refusal:
            reason, self.refusal = self.refusal, ""
            return Outcome("m2", None, reason)
        if self.model is self.serving or self.model is None:
            return None
        self.serving = self.model
        return Outcome(self.model.package.version, self.serving)

    def reload(self) -> None:
        self.reloads += 1
        assert self.model is not None
        self.model = Oracle(self.model.package.version)

    def configure(self, configuration: Configuration) -> None:
        self.configured.append(configuration)

    def ended_cleanly(self) -> None:
        self.clean = True


@dataclass
class FakeNucleus:
    """Has a configuration, and tells of changes in it."""

    document: dict[str, Any] = field(default_factory=dict)
    lost: threading.Event = field(default_factory=threading.Event)
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def connect(self) -> bool:
        return not self.lost.is_set()

    def configuration(self) -> dict[str, Any]:
        if self.lost.is_set():
            raise Unavailable("there is no connection to the nucleus")
        return dict(self.document)

    def on_configuration(self, callback: Callable[[], None]) -> Any:
        self.callbacks.append(callback)
        return SimpleNamespace(alive=True, close=lambda: None)

    def change(self, **values: Any) -> None:
        self.document |= values
        for callback in self.callbacks:
            callback()


class Device:
    """The folders of one device, its camera, its model and its nucleus. `start` the component, `end` it."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.clock, self.camera = ManualClock(), Camera()
        self.shelf, self.nucleus = Shelf(Oracle()), FakeNucleus()
        self.opened: list[Configuration] = []
        self.supervisor: Supervisor | None = None
        self.running = False

    @property
    def model(self) -> Oracle:
        assert self.shelf.model is not None
        return self.shelf.model

    def configure(self, **values: Any) -> None:
        """What was kept of the configuration, and what the nucleus has."""
        self.nucleus.document |= values
        remember(self.work / "configuration.json", self.nucleus.document)

    def start(self, **changes: Any) -> Supervisor:
        def source(configuration: Configuration, work: Path, clock: Any) -> Camera:
            camera = self.camera
            self.opened.append(configuration)  # the last that it does: then a test may put another camera there
            return camera

        around = {
            "thing": THING,
            "work": self.work,
            "model": self.work / "no-link",
            "clock": self.clock,
            "nucleus": self.nucleus,
            "source": source,
            "keeper": self.shelf,
        }
        self.supervisor = Supervisor(Surroundings(**(around | changes)))
        self.supervisor.start()
        self.running = True
        return self.supervisor

    def until(self, true: Callable[[], bool]) -> None:
        """The main thread looks after the stages until something is true."""
        assert self.supervisor is not None
        looks = self.supervisor.look
        eventually(lambda: looks() or true())

    def end(self) -> None:
        assert self.supervisor is not None
        self.supervisor.last_words()
        self.ended()

    def ended(self) -> None:
        """The end of the process lets go of the spool's file, however late its threads are."""
        assert self.supervisor is not None
        self.running = False
        if all(stage.join(10) for stage in self.supervisor.stages.values()) and self.supervisor.parts.store is not None:
            self.supervisor.parts.store.spool.close()

    def close(self) -> None:
        """Whatever hangs may go."""
        if self.shelf.model is not None:
            self.shelf.model.release.set()
        if self.camera.hang is not None:
            self.camera.hang.set()
        for stage in self.supervisor.stages.values() if self.supervisor else ():
            stage.stop()
            stage.join(1)

    def spooled(self, kind: str) -> list[Mapping[str, Any]]:
        """The bodies of a kind that are on the disk."""
        return [record.body for record in self.records(kind)]

    def records(self, kind: str) -> list[Record]:
        with self._spool() as found:
            streams = [stream for stream in found.streams() if stream.kind == kind]
            return [record for stream in streams for record in found.records(stream)]

    def uploads(self) -> list[StoredUpload]:
        uploads: list[StoredUpload] = []
        with self._spool() as found:
            while upload := found.next_upload(besides=[each.id for each in uploads]):
                uploads.append(upload)
        return uploads

    @contextmanager
    def _spool(self) -> Iterator[Spool]:
        """That of the component; once that has ended, what is on the disk."""
        if self.running:
            assert self.supervisor is not None
            eventually(lambda: self.supervisor.parts.store is not None)
            yield self.supervisor.parts.store.spool
            return
        reader = spool.open(self.work / "spool", clock=self.clock, boot=spool.new_boot(self.clock), max_bytes=1 << 30)
        try:
            assert reader.place == "disk", reader.trouble
            yield reader
        finally:
            reader.close()
