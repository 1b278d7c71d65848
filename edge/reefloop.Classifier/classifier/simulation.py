"""The whole component in simulated time and without threads: the step of every stage, in turn, by a clock that is told.

Real are decoding, model, self-test, policy, spool, packing and budget. Not real are the link, which takes everything
and is answered at once, and whatever comes of threads that get into each other's way.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Unreadable
from classifier.messages import Ack, Record, pack_ack, unpack
from classifier.models.outcome import Outcome
from classifier.pipeline.parts import Parts, Surroundings
from classifier.pipeline.stage import Step
from classifier.pipeline.worker import Taken
from classifier.sources import Source
from classifier.spool import StoredUpload
from classifier.uplink import sender, uploader

SECOND: Final = 1.0
_MODEL_STEPS: Final = 2
"""The last good one, of which there is none, and the link."""


@dataclass(frozen=True)
class Uploaded:
    """A frame that reached the bucket, at a time in seconds of the clock's `elapsed`."""

    at: float
    key: str
    bytes: int
    metadata: Mapping[str, str]


class Cloud:
    """Stands for the nucleus, the link and the cloud."""

    def __init__(self, clock: ManualClock) -> None:
        self.records: dict[tuple[str, str, int], Record] = {}
        """By boot, kind and sequence number."""
        self.uploads: list[Uploaded] = []
        self.bytes: Counter[str] = Counter()
        """On the link, by kind, with all that they are wrapped in."""
        self._clock = clock
        self._acknowledge: Callable[[str, bytes], None] | None = None
        self._topic = ""

    def subscribe(self, topic: str, callback: Callable[[str, bytes], None]) -> "Subscribed":
        """Acknowledgements go there."""
        self._topic, self._acknowledge = topic, callback
        return Subscribed()

    def publish(self, topic: str, payload: bytes) -> None:
        """Take a batch, and acknowledge it."""
        batch = unpack(payload)
        self.bytes[batch.kind] += sender.cost(topic, payload)
        for record in batch.records:
            self.records[batch.boot, batch.kind, record.seq] = record
        if self._acknowledge is not None:
            ack = pack_ack(Ack(batch.boot, batch.kind, batch.records[-1].seq))
            self._acknowledge(self._topic, ack)

    def publish_locally(self, topic: str, message: Mapping[str, Any]) -> None:
        """Nobody listens."""

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Take a frame."""
        self.bytes["frame"] += uploader.cost(StoredUpload("", key, content, metadata))
        self.uploads.append(Uploaded(self._clock.elapsed(), key, len(content), metadata))

    def of(self, kind: str) -> list[Record]:
        """All records of a kind."""
        return [record for (_, each, _), record in self.records.items() if each == kind]


class Subscribed:
    """A subscription that lives as long as the simulation."""

    alive = True

    def close(self) -> None:
        self.alive = False


class Simulation:
    """One component. `begin`, then `play` as many sources as there are, then `finish`."""

    def __init__(self, work: Path, configuration: Configuration, *, model: Path, thing: str = "replay") -> None:
        self.clock = ManualClock()
        self.cloud = Cloud(self.clock)
        nucleus: Any = self.cloud
        self.parts = Parts(
            Surroundings(
                thing=thing,
                work=work,
                model=model,
                clock=self.clock,
                sender=lambda store: sender.Sender(nucleus, store.spool, store.budget, self.clock, thing),
                uploader=lambda store, _: uploader.Uploader(self.cloud.put, store.spool, store.budget, self.clock),
            ),
            wake=lambda _: None,
        )
        self.parts.configurations.current = configuration
        self.frames = self.waiting = 0
        """Frames that were seen, and what had not left when it was `finish`ed."""
        self.trouble = ""
        """Why the last frame that was none was none."""
        self._end = threading.Event()
        self._steps: dict[str, Step] = {}

    def begin(self) -> Outcome | None:
        """Take in the model; what came of it."""
        builders = self.parts.builders
        self._steps = {name: builders[name](self._end) for name in ("spool", "models", "worker", "health")}
        self._steps |= {name: builders[name](self._end) for name in ("sender", "uploader")}
        for _ in range(_MODEL_STEPS):
            self._steps["models"].step()
        return self.parts.models.outcome

    def play(self, source: Source, *, seen: Callable[[Taken], None] = lambda _: None) -> None:
        """Pass every frame of a source on, at the time when it was taken; `seen` is told of each."""
        while not source.exhausted:
            try:
                frame = source.next(self._end)
            except Unreadable as error:
                self.trouble = str(error)
                self.parts.health.missed.add(unreadable=1)
                continue
            if frame is None:
                continue
            self.wait(frame.taken - self.clock.elapsed())
            taken = Taken(source, frame)
            seen(taken)
            self.frames += 1
            self.parts.frames.push(taken)
            self._steps["worker"].step()
            self._spool()

    def wait(self, seconds: float) -> None:
        """Let time pass without a frame."""
        until = self.clock.elapsed() + seconds
        while (left := until - self.clock.elapsed()) > 1e-9:
            whole = math.floor(self.clock.elapsed() / SECOND + 1e-9) * SECOND
            self.clock.advance(min(left, whole + SECOND - self.clock.elapsed()))
            if self.clock.elapsed() >= whole + SECOND - 1e-9:
                self._second()

    def finish(self, *, seconds: float) -> None:
        """Close the window, and let what is left leave within so much time."""
        self.wait(SECOND)
        assert self.parts.worker is not None  # noqa: S101  `begin` made it
        self.parts.works.push(self.parts.worker.finish())
        self._spool()
        self.wait(seconds)
        for step in self._steps.values():
            step.close()
        if self.parts.store is not None:
            depth = self.parts.store.spool.depth()
            self.waiting = depth.records + depth.frames
            self.parts.store.spool.close()

    def _second(self) -> None:
        """What goes on without frames."""
        worker = self.parts.worker
        if worker is not None and (due := worker.look("")):
            self.parts.works.push(due)
        self._steps["health"].step()
        self._spool()
        self._send()

    def _spool(self) -> None:
        if not self.parts.works:
            return
        urgent = any(work.entries for work in self.parts.works.waiting(wait_seconds=0))
        self.parts.works.hurry()
        self._steps["spool"].step()
        if urgent:
            self._send()

    def _send(self) -> None:
        """Two steps each: the second hears that the first has arrived."""
        for name in ("sender", "uploader"):
            for _ in range(2):
                self._steps[name].step()
