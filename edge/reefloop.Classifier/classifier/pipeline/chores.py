"""What goes on beside the frames: the model that comes, the configuration that changes, the health that is told."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from classifier import configuration as settings
from classifier.clock import Clock
from classifier.configuration import Configuration
from classifier.masking import masked
from classifier.models.keeper import Keeper
from classifier.models.model import Model
from classifier.models.outcome import Outcome
from classifier.pipeline.health import Health
from classifier.pipeline.memory import recalled, remember
from classifier.pipeline.queues import Queue
from classifier.pipeline.stage import Step
from classifier.pipeline.steps import WAIT_SECONDS
from classifier.pipeline.worker import Work
from classifier.spool import Message
from classifier.uplink.nucleus import Unavailable

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 1.0
"""A deployment changes one value after another, and each is told by itself."""
RECONNECT_SECONDS: Final = 5.0
FIRST_HEALTH_SECONDS: Final = 60.0
_REASON_CHARACTERS: Final = 400

Parts = TypeVar("Parts")


class Nucleus(Protocol):
    """What the component needs of a nucleus beside sending by it."""

    lost: threading.Event

    def connect(self) -> bool: ...

    def publish_locally(self, topic: str, message: Mapping[str, Any]) -> None: ...

    def configuration(self) -> dict[str, Any]: ...

    def on_configuration(self, callback: Callable[[], None]) -> Any: ...


class Configurations:
    """The configuration in force, and the file that keeps it for a start without a nucleus. A document that is not
    valid changes nothing but `refused`, which says why."""

    def __init__(self, kept: Path) -> None:
        self.refused = ""
        self._kept = kept
        self._document = recalled(kept) or {}
        try:
            self.current = settings.parse(self._document)
        except settings.Invalid as error:
            # Written by another version of the component.
            log.warning("the configuration that was kept is not valid any more: %s", masked(str(error)))
            self._document, self.current = {}, Configuration()

    def take(self, document: Mapping[str, Any]) -> bool:
        """Whether the document changes anything: what is in force, or what is said of it."""
        before = self.current, self.refused
        try:
            self.current, self.refused = settings.parse(document), ""
        except settings.Invalid as error:
            self.refused = masked(str(error))[:_REASON_CHARACTERS]
            if before[1] != self.refused:
                log.warning("a configuration is refused, the one before stays in force: %s", self.refused)
        else:
            if document != self._document:
                self._document = dict(document)
                remember(self._kept, self._document)
        return before != (self.current, self.refused)


class ConfigurationStep:
    """Asks the nucleus for the configuration at the start and after every change."""

    def __init__(self, nucleus: Nucleus, configurations: Configurations, changed: Callable[[], None]) -> None:
        self._nucleus, self._configurations, self._changed = nucleus, configurations, changed
        self._news = threading.Event()
        self._subscription: Any = None

    def step(self) -> float:
        if self._nucleus.lost.is_set() and not self._nucleus.connect():
            return RECONNECT_SECONDS
        if self._subscription is None or not self._subscription.alive:
            # Subscribed first: what changes between the two is not missed.
            self._subscription = self._nucleus.on_configuration(self._news.set)
            self._news.set()
        elif self._news.is_set():
            self._news.clear()
            if self._configurations.take(self._nucleus.configuration()):
                self._changed()
        return SETTLE_SECONDS

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()


def configured(nucleus: Nucleus | None, configurations: Configurations) -> None:
    """Ask once, before anything starts; without an answer, what was kept is in force."""
    if nucleus is None:
        return
    try:
        configurations.take(nucleus.configuration())
    except Unavailable as error:
        log.warning("the configuration is the one that was kept: %s", error)


class Models:
    """The model that serves and what came of the newest. Written by ModelStep, read by everybody."""

    def __init__(self) -> None:
        self.serving: Model | None = None
        self.outcome: Outcome | None = None
        self.anew = threading.Event()
        """Set by whoever gave the runtime up: the model is loaded anew, and nothing serves until it is."""

    def give_up(self) -> None:
        self.anew.set()
        self.serving = None

    @property
    def told(self) -> dict[str, str]:
        """What a health record says of the model."""
        if self.outcome is None:
            return {"version": "", "target": "", "runtime": "", "self_test": "none", "reason": ""}
        model = self.outcome.model
        return {
            "version": self.outcome.version,
            "target": model.package.target if model else "",
            "runtime": model.runtime if model else "",
            "self_test": "passed" if model else "failed",
            "reason": (self.outcome.reason or (model.notes if model else ""))[:_REASON_CHARACTERS],
        }


class ModelStep:
    """Looks for a model, which is proved and loaded here, beside the one that serves."""

    def __init__(
        self,
        build: Callable[[], Keeper],
        models: Models,
        *,
        poll_seconds: Callable[[], float],
        told: Callable[[], None],
        end: threading.Event,
    ) -> None:
        self._build, self._models, self._poll_seconds, self._told, self._end = build, models, poll_seconds, told, end
        self._keeper: Keeper | None = None

    def step(self) -> float:
        rest_seconds = self._poll_seconds()
        if self._keeper is None:
            self._keeper, rest_seconds = self._build(), 0.0
            outcome = self._keeper.start()
        else:
            if self._models.anew.is_set():
                self._models.anew.clear()
                self._keeper.reload()
            outcome = self._keeper.poll()
        if self._end.is_set():
            return 0.0
        self._models.serving = None if self._models.anew.is_set() else self._keeper.serving
        if outcome is not None:
            self._models.outcome = outcome
            self._told()
        return rest_seconds

    def close(self) -> None:
        """It holds nothing open."""


class HealthStep:
    """Tells the device's health now and then, and at once when it is `wanted`."""

    def __init__(
        self,
        health: Health,
        works: Queue[Work],
        *,
        clock: Clock,
        seconds: Callable[[], float],
        wanted: threading.Event,
        parts: Callable[[], dict[str, Any] | None],
    ) -> None:
        """`parts` says what the others know of themselves, or None while that cannot be told."""
        self._health, self._works, self._clock = health, works, clock
        self._seconds, self._wanted, self._parts = seconds, wanted, parts
        self._last, self._first = clock.elapsed(), True

    def step(self) -> float:
        self._health.jumps.look()
        seconds = min(self._seconds(), FIRST_HEALTH_SECONDS) if self._first else self._seconds()
        now = self._clock.elapsed()
        if self._wanted.is_set() or now - self._last >= seconds:
            self._tell(now)
        return LOOK_SECONDS

    def close(self) -> None:
        """It holds nothing open."""

    def _tell(self, now: float) -> None:
        self._wanted.clear()
        parts = self._parts()
        if parts is None:
            self._wanted.set()
            return
        self._first, self._last = False, now
        work = Work(entries=(Message("health", self._health.body(**parts)),))
        if not self._works.offer(work, wait_seconds=WAIT_SECONDS):
            self._wanted.set()


class Following:
    """A step over something that may be replaced, like the spool: built when that is there, and anew with it."""

    def __init__(self, what: Callable[[], Parts | None], build: Callable[[Parts], Step]) -> None:
        self._what: Callable[[], Any] = what
        self._build: Callable[[Any], Step] = build
        self._of: Any = None
        self._step: Step | None = None

    @property
    def trouble(self) -> str:
        """What the step says of itself."""
        return str(getattr(self._step, "trouble", ""))

    def step(self) -> float:
        now = self._what()
        if now is None:
            return WAIT_SECONDS
        if self._step is None or now != self._of:
            self.close()
            self._of, self._step = now, self._build(now)
        return self._step.step()

    def close(self) -> None:
        if self._step is not None:
            step, self._step = self._step, None
            step.close()
