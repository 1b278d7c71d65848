"""A device in simulated time with a link that comes and goes, and a disk that can be told to fail."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from classifier import simulation as simulations
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.messages import Record, unpack
from classifier.simulation import Simulation
from classifier.spool import StoredUpload
from classifier.uplink import sender, uploader
from classifier.uplink.nucleus import NotSent, Unavailable
from classifier.uplink.uploader import Fault, NotUploaded

from tests.edge import model_packages
from tests.edge.model_packages import image

HOUR, DAY = 3600.0, 86_400.0
EVERY_SECONDS = 600.0
"""Something swims by so often: red, green, and something murky that the model is not sure of, in turn."""
COLOURS = ("red", "green", (110, 110, 125))
FRAME_BYTES = 50_000


@dataclass(frozen=True)
class Left:
    """Something that left the device, at a time of the clock's `elapsed`."""

    at: float
    kind: str
    bytes: int
    numbers: tuple[int, ...] = ()


class Link:
    """Between a simulated device and its cloud; down at first."""

    def __init__(self, simulation: Simulation) -> None:
        self.up = False
        self.left: list[Left] = []
        self._clock, cloud = simulation.clock, simulation.cloud
        publish, subscribe, put = cloud.publish, cloud.subscribe, cloud.put

        def published(topic: str, payload: bytes) -> None:
            if not self.up:
                raise NotSent("ServiceError", certain=True)
            batch = unpack(payload)
            numbers = tuple(record.seq for record in batch.records)
            self.left.append(Left(self._clock.elapsed(), batch.kind, sender.cost(topic, payload), numbers))
            publish(topic, payload)

        def subscribed(topic: str, callback: Callable[[str, bytes], None]) -> Any:
            if not self.up:
                raise Unavailable("ServiceError")
            return subscribe(topic, callback)

        def uploaded(key: str, content: bytes, metadata: Mapping[str, str]) -> None:
            size = uploader.cost(StoredUpload("", key, content, metadata))
            if not self.up:
                raise NotUploaded(Fault.OFFLINE, "no route to host")
            self.left.append(Left(self._clock.elapsed(), "frame", size))
            put(key, content, metadata)

        cloud.publish, cloud.subscribe, cloud.put = published, subscribed, uploaded  # type: ignore[method-assign]

    def most_within(self, seconds: float) -> int:
        """The most bytes that left within any so many seconds."""
        return max(
            (sum(each.bytes for each in self.left if 0 <= each.at - first.at < seconds) for first in self.left),
            default=0,
        )


def picture(colour: str | tuple[int, int, int]) -> bytes:
    """No two have the same bytes. What follows the end of a PNG is not looked at."""
    return image(colour) + next(_NUMBERS).to_bytes(8, "big") * (FRAME_BYTES // 8)


_NUMBERS = itertools.count(1)


class Passing:
    """A source of frames: six of each animal, half a second apart, each as large as a photograph."""

    live = False

    def __init__(self, begin: float, animals: int) -> None:
        self._frames = (
            Frame(f"{number}-{frame}.png", begin + number * EVERY_SECONDS + frame / 2, content=picture(colour))
            for number, colour in zip(range(animals), itertools.cycle(COLOURS), strict=False)
            for frame in range(6)
        )
        self._next: Frame | None = next(self._frames, None)

    @property
    def exhausted(self) -> bool:
        return self._next is None

    def next(self, _stop: threading.Event) -> Frame | None:
        frame, self._next = self._next, next(self._frames, None)
        return frame

    def finish(self, frame: Frame) -> None:
        """It was never kept."""

    def set_aside(self, frame: Frame, reason: str) -> bool:
        raise AssertionError(f"{frame.name} is no frame: {reason}")

    def close(self) -> None:
        """It holds nothing open."""


class Reef:
    """A device with default settings that watches out for red, and its link."""

    def __init__(self, folder: Path) -> None:
        self.package, self.work = model_packages.write(folder / "package"), folder / "work"
        self.work.mkdir()
        self.animals = 0
        self.start()

    def start(self, at: float = 0.0) -> None:
        """Switch it on, so many seconds after its operating system was."""
        configuration = Configuration(watch_list=("red",), bucket="data")
        self.simulation = Simulation(self.work, configuration, model=self.package)
        self.link, self.clock = Link(self.simulation), self.simulation.clock
        self.clock.advance(at)
        outcome = self.simulation.begin()
        assert outcome is not None
        assert outcome.model is not None, outcome.reason

    def stop(self) -> None:
        self.simulation.finish(seconds=0)

    def watch(self, hours: float) -> None:
        """Let so many hours pass, with all that swims by."""
        until = self.clock.elapsed() + hours * HOUR
        animals = int(hours * HOUR / EVERY_SECONDS)
        self.simulation.play(Passing(self.clock.elapsed() + 1, animals))
        self.animals += animals
        self.simulation.wait(until - self.clock.elapsed())

    def rest(self, hours: float) -> None:
        """Let so many hours pass in which nothing is seen."""
        self.simulation.wait(hours * HOUR)

    def of(self, kind: str) -> list[Record]:
        """What the cloud has of a kind, in order of the device's own time."""
        return sorted(self.simulation.cloud.of(kind), key=lambda record: record.at)

    def counted(self) -> dict[str, int]:
        """Visits by species, as the cloud has them."""
        found: dict[str, int] = {}
        for summary in self.of("summary"):
            for name, species in summary.body["species"].items():
                found[name] = found.get(name, 0) + species["visits"]
        return found

    @property
    def spool(self) -> Any:
        store = self.simulation.parts.store
        assert store is not None
        return store.spool

    @property
    def health(self) -> Mapping[str, Any]:
        """The newest health record that the cloud has."""
        return self.of("health")[-1].body


class Disk:
    """What SQLite finds when it would write: while `code` is set, that error."""

    def __init__(self) -> None:
        self.code: int | None = None

    def check(self, statement: str) -> None:
        if self.code is not None and statement.startswith(("BEGIN", "COMMIT", "PRAGMA journal_mode")):
            error = sqlite3.OperationalError("the disk does not take it")
            error.sqlite_errorcode = self.code
            raise error


@contextmanager
def failing(disk: Disk) -> Iterator[None]:
    """SQLite asks `disk`, where it would write to a file."""
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        in_memory = False

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if not self.in_memory:
                disk.check(statement)
            return super().execute(statement, *values)

    def connected(path: Any, **options: Any) -> Any:
        connection = connect(path, factory=Connection, **options)
        connection.in_memory = str(path) == ":memory:"
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connected)
        yield


@contextmanager
def watching(folder: Path) -> Iterator[Reef]:
    with pytest.MonkeyPatch.context() as patch:
        # Between frames the steps of all stages are called so often: once a second would take a minute of real time.
        patch.setattr(simulations, "SECOND", 60.0)
        reef = Reef(folder)
        yield reef
        reef.stop()
