"""A new model is on probation for its first minutes: if it keeps failing, the one before comes back.

What is counted is processes that began to serve it and did not come to a clean end, and times that it hung or failed on
every frame and was loaded anew. A crash, a kill by the watchdog or by the kernel, and a power cut look the same from
here, so two power cuts within five minutes of a new model's start send it back too: the one before serves, and the new
one is not tried again until the link leads to other content. A device whose power is cut every few minutes has to end
the component by SIGTERM first, or new models never stay. The first model of all has none before it: it serves on,
however often it fails.
"""

import logging
import threading
import uuid
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from classifier.models.proof import Proof
from classifier.models.state import Refusal, State, Trial

log = logging.getLogger(__name__)

SECONDS: Final = 300.0
"""A model that has served as long in one go is off probation."""
FAILURES: Final = 2
"""As many send it back."""
PROCESS: Final = uuid.uuid4().hex
"""Names this process, in which there may be one keeper after another."""


class Probation:
    """The state on disk, and how it changes. Where the disk takes no change, OSError is raised and nothing has changed,
    unless a method says otherwise. Thread-safe."""

    def __init__(self, path: Path, process: str) -> None:
        """`process` names the one that this is in."""
        self._path, self._process, self._lock = path, process, threading.Lock()
        self.state = State.read(path)
        self._counted = ""

    def first_choice(self, last: str, present: Collection[str]) -> tuple[str, str]:
        """Of the models that are present the one to serve at the start, and why that is not the `last` one."""
        trial = self.state.trial
        if trial is None or trial.before not in present:
            return last, ""
        if trial.begun >= FAILURES and trial.process != self._process:
            return trial.before, self._refused(trial)
        try:
            if trial.model == last:
                self.begin(trial.model, trial.before)
        except OSError as error:
            return trial.before, f"its probation cannot be recorded, so the model before it serves: {error}"
        return last, ""

    def begin(self, model: str, before: str) -> None:
        """`model` is about to be loaded in this process; `before` is what to go back to.

        Raises:
            OSError: a crash would not be counted, so the model must not be loaded.
        """
        trial = self.state.trial
        begun = trial.begun if trial and trial.model == model else 0
        if not (begun and trial and trial.process == self._process):
            self._update(trial=Trial(model, before, begun + 1, self._process))
        self._counted = model

    def failed(self, model: str, present: Collection[str]) -> str:
        """`model` hung or failed on every frame in this process: why it goes for that; "" if it may be loaded anew."""
        trial = self.state.trial
        if trial is None or trial.model != model or trial.before not in present:
            return ""
        if trial.begun >= FAILURES:  # this process is counted already
            return self._refused(trial)
        self._remember(trial=replace(trial, begun=trial.begun + 1))
        return ""

    def clean_end(self) -> None:
        """This process ends because it was told to."""
        with self._lock:
            counted, self._counted = self._counted, ""
        trial = self.state.trial
        if trial and trial.model == counted:
            self._update(trial=replace(trial, begun=max(0, trial.begun - 1)))

    def set(self, trial: Trial | None) -> None:
        """None is on trial any more, or the one that was before."""
        if trial != self.state.trial:
            self._update(trial=trial)
        self._counted = trial.model if trial else ""

    def forgive(self) -> None:
        """A model that went may be tried again when it comes again."""
        if self.state.refusal:
            self._update(refusal=None)

    def proof(self, model: str, machinery: str) -> Proof | None:
        """What was proved of a model on this machinery."""
        return self.state.proofs.get(model) if self.state.proved_with == machinery else None

    def proved(self, model: str, proof: Proof, machinery: str, *, present: Collection[str]) -> None:
        """Remember a proof beside those of the models that are present."""
        known = self.state.proofs if self.state.proved_with == machinery else {}
        kept = {name: known[name] for name in present if name in known}
        self._update(proofs={**kept, model: proof}, proved_with=machinery)

    def _refused(self, trial: Trial) -> str:
        """Why the model on trial goes from now on."""
        reason = (
            f"on probation it failed {trial.begun} times: it hung, failed on every frame, or the component ended; the "
            "model before it serves again"
        )
        self._remember(trial=None, refusal=Refusal(trial.model, reason))
        return reason

    def _remember(self, **changes: Any) -> None:
        """Where the disk does not take a change, this process knows it."""
        try:
            self._update(**changes)
        except OSError as error:
            log.warning("what comes of the model on probation is forgotten with this process: %s", error)
            self.state = replace(self.state, **changes)

    def _update(self, **changes: Any) -> None:
        with self._lock:
            changed = replace(self.state, **changes)
            changed.write(self._path)
            self.state = changed
