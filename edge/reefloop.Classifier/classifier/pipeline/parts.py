"""What the component is made of, and how its parts are put together: the steps of every stage."""

import gc
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier import sources
from classifier.clock import Clock
from classifier.configuration import Configuration
from classifier.models.keeper import Keeper
from classifier.pipeline.chores import (
    Configurations,
    ConfigurationStep,
    Following,
    HealthStep,
    Models,
    ModelStep,
    Nucleus,
)
from classifier.pipeline.fatal import InHand
from classifier.pipeline.health import Health
from classifier.pipeline.memory import recalled
from classifier.pipeline.queues import Queue
from classifier.pipeline.results import Results
from classifier.pipeline.stage import Step
from classifier.pipeline.steps import FRAMES, WORKS, SourceStep, SpoolStep, Store, WorkerStep
from classifier.pipeline.worker import Taken, Work, Worker
from classifier.sources import Source
from classifier.spool import Entry, Message
from classifier.uplink.announcer import Announcer


@dataclass(frozen=True)
class Surroundings:
    """What is different on a device, on a laptop, in a test and in a benchmark."""

    thing: str
    work: Path
    model: Path
    """Leads to the model package; another component moves it."""
    clock: Clock
    nucleus: Nucleus | None = None
    sender: Callable[[Store], Step] | None = None
    """None where there is nobody to send to; what is spooled then stays."""
    uploader: Callable[[Store, str], Step] | None = None
    """To the bucket of this name."""
    source: Callable[[Configuration, Path, Clock], Source] = sources.open
    keeper: Callable[..., Keeper] = Keeper


class Parts:
    """Everything that outlives a stage's thread. `builders` make a step each time that a stage begins."""

    def __init__(self, around: Surroundings, wake: Callable[[str], None]) -> None:
        """`wake` is told the name of a stage that has something to do."""
        self.around, self._wake = around, wake
        self.configurations = Configurations(around.work / "configuration.json")
        self.health = Health(clock=around.clock, work=around.work)
        self.models = Models()
        self.announcer = Announcer(around.nucleus, around.clock) if around.nucleus is not None else None
        self.frames: Queue[Taken] = Queue(FRAMES)
        self.works: Queue[Work] = Queue(WORKS)
        self.health_wanted, self.reconfigured = threading.Event(), threading.Event()
        self.store: Store | None = None
        self.keeper: Keeper | None = None
        self.worker: Worker | None = None
        self.worker_step: WorkerStep | None = None
        self._fatal = InHand(around.work / "in-hand")
        self._spool_step: SpoolStep | None = None
        self._ways: dict[str, Following] = {}
        """To the cloud."""
        self._frozen = False
        self.restarts: Callable[[], Mapping[str, int]] = dict
        """How often each stage was begun anew."""
        self.troubles: Callable[[], Mapping[str, str]] = dict
        """Why stages fail at the moment."""

    @property
    def builders(self) -> dict[str, Callable[[threading.Event], Step]]:
        around = self.around
        sender, uploader, nucleus = around.sender, around.uploader, around.nucleus
        found: dict[str, Callable[[threading.Event], Step]] = {
            "spool": self._spool,
            "models": self._model,
            "worker": self._work,
            "source": self._source,
            "health": self._health,
        }
        if sender is not None:
            found["sender"] = lambda _: self._follow("sender", lambda: self.store, sender)
        if uploader is not None:
            found["uploader"] = lambda _: self._follow("uploader", self._way_up, lambda way: uploader(*way))
        if (announcer := self.announcer) is not None:
            found["announcer"] = lambda _: announcer
        if nucleus is not None:
            found["configuration"] = lambda _: ConfigurationStep(nucleus, self.configurations, self.reconfigured.set)
        return found

    @property
    def configuration(self) -> Configuration:
        return self.configurations.current

    def apply(self, configuration: Configuration) -> None:
        """Have every part but the source work by another configuration."""
        self.health_wanted.set()
        for part in (self.worker, self._spool_step, self.keeper):
            if part is not None:
                part.configure(configuration)

    def _spool(self, _: threading.Event) -> Step:
        configuration = self.configuration
        if self.store is None:
            self.store = Store.opened(self.around.work / "spool", configuration, self.around.clock)
        folder, clock = self.around.work / "results", self.around.clock
        self._spool_step = SpoolStep(
            self.store,
            self.works,
            results=Results(folder, clock=clock, limit_mib=configuration.results_mib),
            missed=self.health.missed,
            state=self._policy_state,
            spooled=self._spooled,
            current=lambda: self.store,
        )
        self._spool_step.configure(self.configuration)  # it may have changed while the disk was slow
        return self._spool_step

    def _model(self, end: threading.Event) -> Step:
        return ModelStep(
            self._kept_model,
            self.models,
            poll_seconds=lambda: self.configuration.poll_seconds,
            told=self._told,
            end=end,
        )

    def _work(self, end: threading.Event) -> Step:
        if self.worker is None:
            self.worker = Worker(
                self.configuration,
                thing=self.around.thing,
                clock=self.around.clock,
                health=self.health,
                state=recalled(self._policy_state),
                seed=secrets.randbits(64),
            )
            self.worker.configure(self.configuration)  # it may have changed while the disk was slow
        else:
            # The one before hung or failed in the runtime.
            self.models.give_up()
            self._wake("models")
        self.worker_step = WorkerStep(
            self.worker,
            frames=self.frames,
            works=self.works,
            serving=lambda: self.models.serving,
            end=end,
            fatal=self._fatal,
        )
        return self.worker_step

    def _source(self, end: threading.Event) -> Step:
        source = self.around.source(self.configuration, self.around.work, self.around.clock)
        return SourceStep(source, self.frames, missed=self.health.missed, end=end, begin=self._idle)

    def _health(self, _: threading.Event) -> Step:
        return HealthStep(
            self.health,
            self.works,
            clock=self.around.clock,
            seconds=lambda: self.configuration.health_seconds,
            wanted=self.health_wanted,
            parts=self._health_parts,
        )

    def _kept_model(self) -> Keeper:
        around = self.around
        self.keeper = around.keeper(around.model, around.work / "models", self.configuration, clock=around.clock)
        self.keeper.configure(self.configuration)
        return self.keeper

    @property
    def _policy_state(self) -> Path:
        return self.around.work / "policy.json"

    def _idle(self) -> bool:
        """Whether nothing of an earlier source is under way."""
        return not self.frames and not self.works and (self.worker_step is None or self.worker_step.idle)

    def _follow(self, name: str, what: Callable[[], Any], build: Callable[[Any], Step]) -> Following:
        self._ways[name] = Following(what, build)
        return self._ways[name]

    def _way_up(self) -> tuple[Store, str] | None:
        store, bucket = self.store, self.configuration.bucket
        return (store, bucket) if store is not None and bucket else None

    def _spooled(self, entries: Sequence[Entry]) -> None:
        """These are on the disk, and can be told."""
        if self.announcer is not None:
            for entry in entries:
                if isinstance(entry, Message) and entry.kind == "alert":
                    self.announcer.tell(entry.body)
            self._wake("announcer")
        self._wake("sender")
        self._wake("uploader")

    def _told(self) -> None:
        """A model was taken in or refused."""
        self.health_wanted.set()
        if not self._frozen and self.models.serving is not None:
            # What is there now stays; to look through it for garbage would halt frames for tens of milliseconds.
            self._frozen = True
            gc.collect()
            gc.freeze()

    def _health_parts(self) -> dict[str, Any] | None:
        """What a health record says beside what is measured; None while there is no spool to put it into."""
        store, configuration = self.store, self.configuration
        if store is None:
            return None
        depth, (hour, day) = store.spool.depth(), store.budget.used()
        uplink = {name: trouble[:200] for name, way in self._ways.items() if (trouble := way.trouble)}
        failing = {name: trouble[:200] for name, trouble in self.troubles().items()}
        return {
            **({"uplink": uplink} if uplink else {}),
            **({"trouble": failing} if failing else {}),
            "model": self.models.told,
            "queue": len(self.frames) + len(self.works),
            "restarts": {name: restarts for name, restarts in self.restarts().items() if restarts},
            "configuration": self.configurations.refused,
            "spool": {
                "records": depth.records,
                "frames": depth.frames,
                "bytes": depth.bytes,
                "place": store.spool.place,
                "reason": store.spool.trouble[:400],
            },
            "evicted": store.spool.evicted,
            "sent": {
                "hour": hour,
                "day": day,
                "hour_budget": configuration.bytes_per_hour,
                "day_budget": configuration.bytes_per_day,
            },
        }
