"""The component's life: take in models, classify frames, say what happened; until told to stop."""

import hashlib
import json
import logging
import threading
import time
from datetime import UTC, datetime

from classifier import frames, report
from classifier.configuration import Configuration
from classifier.models.keeper import Keeper, Outcome
from classifier.models.model import Answer, Model
from classifier.options import Options
from classifier.policy import ReviewPolicy
from classifier.source import FolderSource, Frame, Unreadable
from classifier.uplink import Outbox, Uplink

log = logging.getLogger(__name__)


class Pipeline:
    """One camera's frames through one model. Single-threaded; `stop` may be set from a signal handler."""

    def __init__(self, options: Options, uplink: Uplink, stop: threading.Event) -> None:
        work = options.work
        self._options, self._stop = options, stop
        self._source = FolderSource(options.frames, done=work / "done", unreadable=work / "unreadable")
        limits = Configuration(inference_threads=options.threads)
        self._keeper = Keeper(options.model, work / "models", limits)
        self._policy = ReviewPolicy(options.review_frames_per_hour)
        self._outbox = Outbox(work / "outbox", uplink, clock=time.monotonic)
        self._results = work / "results"
        self._results.mkdir(parents=True, exist_ok=True)
        self._window = report.Window(_now())
        self._summary_due = time.monotonic() + options.summary_seconds

    def run(self) -> None:
        """Work until `stop` is set, then say the last word."""
        self._report(self._keeper.start())
        while not self._stop.is_set():
            self._report(self._keeper.poll())
            busy = self._classify_waiting(time.monotonic() + self._options.poll_seconds)
            self._drain()
            if time.monotonic() >= self._summary_due:
                self._summarize()
            if not busy:
                self._stop.wait(self._options.poll_seconds)
        self._last_word()

    def once(self) -> None:
        """Work on what is there and stop; a file that is no frame now is none at all."""
        self._report(self._keeper.start())
        self._report(self._keeper.poll())
        self._classify_waiting(float("inf"), settle=False)
        self._last_word()

    def _classify_waiting(self, until: float, *, settle: bool = True) -> bool:
        """Deal with waiting frames until the monotonic time `until`; says whether there were any."""
        model = self._keeper.serving
        if model is None:
            return False
        busy = False
        for path in self._source.waiting():
            if self._stop.is_set() or time.monotonic() >= min(until, self._summary_due):
                break
            started = time.perf_counter()
            try:
                frame = self._source.read(path)
                answer = self._answer(model, frame)
            except Unreadable as error:
                if settle and self._source.still_written(path):
                    continue
                log.warning("%s is set aside: %s", path.name, error)
                self._window.unreadable += 1
                self._source.set_aside(path)
            else:
                self._window.saw(answer.label, 1000 * (time.perf_counter() - started))
                self._decide(model, frame, answer)
            busy = True
        return busy

    @staticmethod
    def _answer(model: Model, frame: Frame) -> Answer:
        try:
            return model.classify(frames.Frame(frame.name, 0.0, content=frame.content))
        except Unreadable:
            raise
        # The self-test passed, so the model runs; a frame on which it fails must not stop the next one.
        except Exception as error:
            raise Unreadable(f"the model failed on it: {error}") from None

    def _decide(self, model: Model, frame: Frame, answer: Answer) -> None:
        uncertain_below = model.package.uncertain_below
        now = time.monotonic()
        if self._policy.wants(probability=answer.probability, uncertain_below=uncertain_below, now_seconds=now):
            name = hashlib.sha256(frame.content).hexdigest()[:16] + frame.path.suffix.lower()
            self._outbox.put(f"images/edge/{self._options.thing}/{name}", frame.content)
        # Moved after it is queued: a power cut between the two sends the frame again, under the same key.
        self._source.finish(frame.path)
        self._log_result(model, frame, answer)

    def _log_result(self, model: Model, frame: Frame, answer: Answer) -> None:
        line = {
            "frame": frame.name,
            "label": answer.label,
            "probability": round(answer.probability, 6),
            "model_version": model.package.version,
            "at": report.timestamp(_now()),
        }
        try:
            with (self._results / f"{_now():%Y-%m-%d}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            log.warning("a result is not logged: %s", error)

    def _report(self, outcome: Outcome | None) -> None:
        """Say what came of a model."""
        if outcome is None:
            return
        body = report.status(self._options.thing, outcome, now=_now())
        self._outbox.put(f"devices/{self._options.thing}/status.json", report.encode(body))
        self._drain(now=True)

    def _drain(self, *, now: bool = False) -> None:
        self._window.sent += self._outbox.drain(now=now)

    def _summarize(self) -> None:
        """Tell the window that ends here, if it saw anything, and begin the next."""
        self._drain()
        until = _now()
        window, self._window = self._window, report.Window(until)
        self._summary_due = time.monotonic() + self._options.summary_seconds
        self._source.prune(self._options.keep_frames)
        model = self._keeper.serving
        if model is None or window.empty:
            return
        body = window.summary(self._options.thing, model.package.version, until=until)
        name = f"{until:%Y%m%dT%H%M%S.%f}Z.json"
        self._outbox.put(f"devices/{self._options.thing}/summaries/{name}", report.encode(body))
        self._drain()

    def _last_word(self) -> None:
        self._drain(now=True)
        self._summarize()
        self._drain(now=True)


def _now() -> datetime:
    return datetime.now(UTC)
