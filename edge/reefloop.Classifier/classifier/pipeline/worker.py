"""The worker: one frame, or a moment without one, and what it leads to. It knows no threads and no disk."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from classifier import preprocess
from classifier.clock import Clock
from classifier.configuration import Configuration
from classifier.frames import Frame, Unreadable
from classifier.models.model import Answer, Model
from classifier.pipeline.health import Health
from classifier.pipeline.queues import Latest
from classifier.policy import Policy, Sighting, Ticked
from classifier.sources import Source
from classifier.spool import Entry, Message, Upload
from classifier.uplink import uploader

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW: Final = 3
"""A model that fails on one frame is the frame's matter; on so many in a row, its own."""
_VALUES: Final[Mapping[str, float]] = {"audit": 3.0, "unknown": 2.0, "uncertain": 1.0}
"""What a full spool gives up last. An audit that loses frames is no random sample any more."""


class Broken(Exception):
    """The model fails on every frame; it has to be loaded anew."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame, and the source that wants to know what became of it."""

    source: Source
    frame: Frame


@dataclass(frozen=True, slots=True)
class Result:
    """What the log of results says of a frame."""

    frame: str
    label: str
    probability: float
    model_version: str


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be durable before the frame may leave its source."""

    taken: Taken | None = None
    fault: str = ""
    """Why the frame is set aside; empty for one that was classified."""
    entries: tuple[Entry, ...] = ()
    result: Result | None = None
    state: Mapping[str, Any] | None = None
    """Of the policy, after this."""


class Worker:
    """Classifies frames and asks the policy what to make of them. For one thread at a time, and for one that was given
    up: what that one comes back with is not wanted."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        thing: str,
        clock: Clock,
        health: Health,
        state: Mapping[str, Any] | None = None,
        seed: int,
    ) -> None:
        """`state` is that of the policy of an earlier life."""
        self._thing, self._clock, self._health = thing, clock, health
        self._asked: Latest[Configuration] = Latest()
        self._take_up(configuration)
        self._policy = Policy(configuration, seed=seed)
        if state:
            self._policy.restore(state)
        self._candidate: tuple[Frame, Answer, str] | None = None
        """Of the audit. A power cut loses it whatever it shows, so that the sample stays without bias."""
        self._failures = 0
        self._lock = threading.Lock()

    def configure(self, configuration: Configuration) -> None:
        """Go on with other values, and with what was seen so far, from the next look on. Any thread may call it."""
        self._asked.put(configuration)

    def handle(self, taken: Taken, model: Model, *, wanted: Callable[[], bool] = lambda: True) -> Work | None:
        """Classify a frame. None once the answer is not `wanted` any more, as the thread was given up meanwhile.

        Raises:
            Broken: the model failed on this frame as on those before it.
        """
        frame, started = taken.frame, time.perf_counter()
        try:
            answer = model.classify(frame)
        except Unreadable as error:
            return Work(taken, fault=str(error)) if wanted() else None
        # The self-test passed, so the model runs; a frame on which it fails must not stop the next one.
        except Exception as error:
            return self._failed(taken, error) if wanted() else None
        with self._lock:
            if not wanted():
                return None
            self._failures = 0
            work = self._decide(taken, answer, model.package.version)
        self._health.frame(1000 * (time.perf_counter() - started))
        return work

    def look(self, version: str) -> Work | None:
        """What is due by now, before a frame that the model of this version will classify, or without one: the end of
        a window, the draw of an audit."""
        with self._lock:
            if configuration := self._asked.take():
                self._take_up(configuration)
                self._policy.configure(configuration)
            self._policy.model = version or self._policy.model
            self._count_missed()
            return self._due(self._policy.tick(self._clock.elapsed()))

    def finish(self) -> Work:
        """Close the window at once, and hand on what the next life has to know."""
        with self._lock:
            self._count_missed()
            return self._due(self._policy.finish(self._clock.elapsed())) or Work(state=self._policy.state())

    def _take_up(self, configuration: Configuration) -> None:
        self._results, self._uploads = configuration.results_mib > 0, bool(configuration.bucket)
        self._most_bytes = uploader.room(per_hour=configuration.bytes_per_hour, per_day=configuration.bytes_per_day)

    def _count_missed(self) -> None:
        if missed := self._health.missed.take():
            self._policy.missed(dropped=missed[0], unreadable=missed[1])

    def _failed(self, taken: Taken, error: Exception) -> Work:
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            self._failures = 0
            raise Broken(f"the model fails on every frame: {type(error).__name__}: {error}") from None
        return Work(taken, fault=f"the model failed on it: {type(error).__name__}: {error}")

    def _decide(self, taken: Taken, answer: Answer, version: str) -> Work:
        frame = taken.frame
        verdict = self._policy.see(
            Sighting(
                at=frame.taken,
                label=answer.label,
                probability=answer.probability,
                margin=answer.margin,
                entropy=answer.entropy,
                unsure=answer.unsure,
                unknown=answer.unknown,
            )
        )
        if verdict.audit:
            self._candidate = frame, answer, version
        entries: list[Entry] = [Message("alert", alert.body) for alert in verdict.alerts]
        if verdict.review and self._uploads:
            entries.append(self._upload(frame, answer, version, verdict.review))
        result = Result(frame.name, answer.label, answer.probability, version) if self._results else None
        return Work(taken, entries=tuple(entries), result=result, state=self._policy.state() if entries else None)

    def _due(self, ticked: Ticked) -> Work | None:
        entries: list[Entry] = []
        if ticked.summary:
            entries.append(Message("summary", ticked.summary.body))
        if ticked.audit_due and self._candidate and self._uploads:
            frame, answer, version = self._candidate
            self._candidate = None
            entries.append(self._upload(frame, answer, version, "audit", of=ticked.audit_due.of))
        return Work(entries=tuple(entries), state=self._policy.state()) if entries else None

    def _upload(self, frame: Frame, answer: Answer, version: str, reason: str, **more: Any) -> Upload:
        """The frame as people are shown it. Its key is its content: the same frame is the same object however often."""
        content, ending = preprocess.encoded(frame, most_bytes=self._most_bytes)
        name = hashlib.sha256(content).hexdigest()[:16] + ending
        metadata = {
            "reason": reason,
            "frame": frame.name,
            "label": answer.label,
            "probability": f"{answer.probability:.6f}",
            "model": version,
            **{key: str(value) for key, value in more.items()},
        }
        value = _VALUES[reason] + (1 - answer.margin) / 2
        return Upload(f"images/edge/{self._thing}/{name}", content, metadata, value)
