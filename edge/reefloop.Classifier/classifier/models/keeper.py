"""Keeps the model that serves: takes a new one in beside it, and never lets go of the last good one.

The link belongs to the model component, and the nucleus deletes what it points to once it is no longer deployed; so
every package is copied into this component's own folder first, checked there and served from there. In this order, and
each step leaves a folder from which a model that passed its self-test serves after a power cut:

    copy and flush · verify the sums · prove in a process of its own · count its start · load and check · switch

The one before stays until the new one is off probation. So the disk holds two models, and a third while it is copied.
"""

import contextlib
import logging
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

import onnxruntime

from classifier.clock import Clock, SystemClock
from classifier.configuration import Configuration
from classifier.models import probation, proof
from classifier.models.copies import Copies
from classifier.models.link import Link
from classifier.models.model import Model, load
from classifier.models.outcome import Outcome
from classifier.models.package import Refused, claimed_version, fingerprint, verify
from classifier.models.probation import Probation
from classifier.models.proof import Limits, Proof

log = logging.getLogger(__name__)

MACHINERY: Final = f"onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}, {platform.machine()}"
"""What a proof holds for; after an update of the component, what serves is proved anew."""

Prove = Callable[[Path, Limits], Proof]


class Keeper:
    """`serving` is None until a first model has passed its self-test, and where the last one failed on probation; who
    classifies reads it for every frame.

    `start`, then `poll` again and again, are called by one thread and may take minutes; the other methods return at
    once and may be called by any.
    """

    def __init__(
        self,
        link: Path,
        folder: Path,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        prove: Prove = proof.of,
        process: str = probation.PROCESS,
    ) -> None:
        """`link` leads to what the model component brought; `folder` is this one's own, for copies and state."""
        self.serving: Model | None = None
        self._clock = clock or SystemClock()
        self._link, self._copies, self._prove = Link(link, self._clock), Copies(folder), prove
        self._limits = self._applied = Limits.of(configuration)
        self._probation = Probation(folder / "state.json", process)
        self._told = ""
        self._since, self._stale, self._given_up = 0.0, False, False

    def configure(self, configuration: Configuration) -> None:
        """From the next look on: what the link leads to is judged by these limits, what serves gets its threads."""
        self._limits = Limits.of(configuration)

    def reload(self) -> None:
        """At the next look what serves is loaded anew: this instance hangs, or fails at every frame. On probation that
        is a failure, and may be the last."""
        self._given_up = True

    def ended_cleanly(self) -> None:
        """The component ends because it was told to: that says nothing against a model on probation."""
        try:
            self._probation.clean_end()
        except OSError as error:
            log.warning("this end will count as an unclean one: %s", error)

    def start(self) -> Outcome | None:
        """Serve the last good model again. None if there is none, a failure if it is not the one that served last."""
        with contextlib.suppress(OSError):
            self._copies.discard()
        last = self._told = self._copies.good()
        first, reason = self._probation.first_choice(last, self._copies.names())
        return self._begun(first, failed=last if reason else "", reason=reason)

    def poll(self) -> Outcome | None:
        """Look at the link; None when it leads where it led before, or nowhere."""
        if went := self._gone_back():
            return went
        self._pass_probation()
        self._apply_limits()
        source = self._link.look()
        if source is None:
            return None
        try:
            outcome = self._judged(source)
        except (OSError, Refused) as error:
            self._prune()
            if not source.exists():
                return None  # the nucleus took it away; what it brings instead is seen at the next look
            if isinstance(error, OSError):
                # The disk's fault, not the model's.
                reason, told = f"the disk does not take the model: {error}", not self._link.later(str(error))
                return None if told else Outcome.refused(claimed_version(source), reason)
            outcome = Outcome.refused(claimed_version(source), str(error))
        self._link.done()
        return outcome

    @property
    def _name(self) -> str:
        """The fingerprint of what serves."""
        return self.serving.package.folder.name if self.serving else ""

    def _before(self) -> str:
        """The copy to go back to from the next model: what serves or, if that is on trial itself, the one before."""
        trial = self._probation.state.trial
        return trial.before if trial and self._name in ("", trial.model) else self._name

    def _begun(self, first: str, *, failed: str, reason: str) -> Outcome | None:
        """Serve the `first` copy, or else another; `failed` is the one that does not serve any more, for a `reason`."""
        gone = self._probation.state.refusal
        for name in dict.fromkeys([first, self._before(), *self._copies.names()]):
            if name and not (gone and name == gone.model):
                try:
                    self.serving = self._opened(name)
                    break
                except (OSError, Refused) as error:
                    failed, reason = failed or name, reason or f"the last good model no longer passes: {error}"
        self._since = self._clock.elapsed()
        outcome = Outcome.passed(self.serving) if self.serving else None
        if failed:
            outcome = Outcome.refused(claimed_version(self._copies.path(failed)), reason)
        if self.serving:
            with contextlib.suppress(OSError):
                self._copies.point(self._name)
            self._prune()
        return outcome

    def _opened(self, name: str) -> Model:
        folder = self._copies.path(name)
        verify(folder)
        found = self._probation.proof(name, MACHINERY)
        if found is None:
            found = self._prove(folder, self._limits)
            with contextlib.suppress(OSError):
                self._probation.proved(name, found, MACHINERY, present=self._copies.names())
        return load(folder, found.runtime, threads=self._limits.threads, notes=found.notes)

    def _judged(self, source: Path) -> Outcome | None:
        name, gone = fingerprint(source), self._probation.state.refusal
        # What `start` has said is not said again.
        told = self._link.first and name == self._told
        if gone and gone.model == name:
            return None if told else Outcome.refused(claimed_version(source), gone.reason)
        self._probation.forgive()
        if self.serving is None or name != self._name:
            self.serving = self._taken(source, name)
            self._since = self._clock.elapsed()
            self._prune()
        elif told:
            return None
        return Outcome.passed(self.serving)

    def _taken(self, source: Path, name: str) -> Model:
        """A new model, from the moment on from which it is the last good one.

        Raises:
            Refused, OSError: it is not, and the one before is as it was.
        """
        found = self._brought(source, name)
        before, trial = self._before(), self._probation.state.trial
        try:
            if before not in ("", name):
                self._probation.begin(name, before)
            model = load(self._copies.path(name), found.runtime, threads=self._limits.threads, notes=found.notes)
            self._copies.point(name)
        except (OSError, Refused):
            with contextlib.suppress(OSError):
                self._probation.set(trial)
            raise
        if before == name:
            self._probation.set(None)  # it has passed before
        return model

    def _brought(self, source: Path, name: str) -> Proof:
        """Have a proved copy under its name: that of the model before may still be there."""
        found = self._probation.proof(name, MACHINERY)
        if found and name in self._copies.names():
            with contextlib.suppress(Refused):
                verify(self._copies.path(name))
                return found
        incoming = self._copies.copy(source)
        if fingerprint(incoming) != name:
            raise OSError(f"{source} changed while it was copied")
        verify(incoming)
        found = self._prove(incoming, self._limits)
        self._copies.keep(name)
        self._probation.proved(name, found, MACHINERY, present=self._copies.names())
        return found

    def _gone_back(self) -> Outcome | None:
        """What came of it that the model which serves was given up; None if it is loaded anew."""
        if not self._given_up:
            return None
        self._given_up, self._since = False, self._clock.elapsed()
        failed, before = self._name, self._before()
        if reason := self._probation.failed(failed, self._copies.names()):
            self.serving = None
            return self._begun(before, failed=failed, reason=reason)
        self._stale = True
        return None

    def _pass_probation(self) -> None:
        trial = self._probation.state.trial
        # A model that hangs at its first frame and, loaded anew, at its second is noticed within that time.
        seconds = max(probation.SECONDS, 2 * self._limits.frame_seconds)
        if trial and trial.model == self._name and self._clock.elapsed() - self._since >= seconds:
            try:
                self._probation.set(None)
            except OSError as error:
                log.warning("the model stays on probation: %s", error)
            else:
                self._prune()

    def _prune(self) -> None:
        try:
            self._copies.discard()
            self._copies.prune({self._name, self._before(), self._copies.good()})
        except OSError as error:
            log.warning("copies of earlier models stay on the disk: %s", error)

    def _apply_limits(self) -> None:
        limits, applied = self._limits, self._applied
        if limits != applied:
            self._applied = limits
            self._link.again()
            self._stale = self._stale or limits.threads != applied.threads
        if self._stale and self.serving:
            old = self.serving
            try:
                self.serving = load(old.package.folder, old.runtime, threads=limits.threads, notes=old.notes)
            except (OSError, Refused) as error:
                log.warning("the model is not loaded anew: %s", error)
        self._stale = False
