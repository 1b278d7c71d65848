"""A device in simulated time: the component's own worker, policy, spool, budget and uplink, each called in turn."""

from pathlib import Path
from typing import Any, Protocol

from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.health import Health
from classifier.models.model import Answer
from classifier.spool import Message
from classifier.steps import Store
from classifier.uplink.sender import Sender
from classifier.uplink.uploader import Uploader
from classifier.worker import Taken, Work, Worker
from device.cloud import THING, Cloud

MODEL: dict[str, str] = {
    "version": "bench-00000000",
    "target": "linux-arm64",
    "runtime": "onnxruntime-portable",
    "self_test": "passed",
    "reason": "",
}


class Classifies(Protocol):
    """A model, as the worker asks it."""

    package: Any

    def classify(self, frame: Frame) -> Answer: ...


class Simulated:
    """One device with one model. `see` is called with frames in order of time."""

    def __init__(self, folder: Path, model: Classifies, configuration: Configuration) -> None:
        folder.mkdir()
        self.cloud, self._clock, self._model, self._configuration = Cloud(), ManualClock(), model, configuration
        store = Store.opened(folder / "spool", configuration, self._clock)
        self._spool, self._budget = store.spool, store.budget
        self._health = Health(clock=self._clock, work=folder)
        self._worker = Worker(configuration, thing=THING, clock=self._clock, health=self._health, seed=1)
        self._sender = Sender(self.cloud, self._spool, self._budget, self._clock, THING)  # type: ignore[arg-type]
        self._uploader = Uploader(self.cloud.put, self._spool, self._budget, self._clock)
        self._health_at = 60.0
        self.charged = 0
        """Bytes that the budget was charged: what left, with all that it was wrapped in."""

    def see(self, at: float, name: str, content: bytes) -> None:
        """A frame that was taken at this time."""
        self._clock.advance(at - self._clock.elapsed())
        self._keep(self._worker.look(self._model.package.version))
        if at >= self._health_at:
            self._health_at = at + self._configuration.health_seconds
            self._spool.add([Message("health", self._told())])
        self._keep(self._worker.handle(Taken(None, Frame(name, at, content=content)), self._model))  # type: ignore[arg-type]
        self._send()

    def finish(self) -> None:
        """Close the window, and send what is left."""
        self._keep(self._worker.finish())
        self._send()

    def _keep(self, work: Work | None) -> None:
        if work and work.entries:
            self._spool.add(work.entries)

    def _send(self) -> None:
        before = self._budget.used()
        self._sender.step()
        self._sender.step()  # hears the acknowledgements
        self._uploader.step()
        self.charged += self._budget.used()[0] - before[0]

    def _told(self) -> dict[str, Any]:
        """A health record, as a device without troubles sends it."""
        depth, (hour, day) = self._spool.depth(), self._budget.used()
        asked = self._configuration
        return self._health.body(
            model=MODEL,
            queue=0,
            spool={
                "records": depth.records,
                "frames": depth.frames,
                "bytes": depth.bytes,
                "place": self._spool.place,
                "reason": self._spool.trouble,
            },
            evicted=self._spool.evicted,
            sent={"hour": hour, "day": day, "hour_budget": asked.bytes_per_hour, "day_budget": asked.bytes_per_day},
            restarts={},
            configuration="",
        )
