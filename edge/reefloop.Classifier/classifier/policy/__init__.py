"""What is worth sending: alerts, summaries, frames for review and for the audit.

Pure and deterministic: it knows neither clock nor network, and the same sightings with the same seed give the same
verdicts. Every time is in seconds of the clock's `elapsed`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from classifier.configuration import Configuration
from classifier.policy.alerts import Alert
from classifier.policy.audit import Audit, AuditDraw
from classifier.policy.pace import Pace
from classifier.policy.review import UNCERTAIN, UNKNOWN, Review, uncertain
from classifier.policy.sighting import Sighting
from classifier.policy.visits import Visit, Visits
from classifier.policy.windows import Summary, Window

__all__ = ["Alert", "AuditDraw", "Policy", "Sighting", "Summary", "Ticked", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a frame."""

    alerts: tuple[Alert, ...] = ()
    review: str = ""
    """Why a person should see it, "uncertain" or "unknown"; "" where nobody need."""
    audit: bool = False
    """It is the candidate of the audit's interval now, in place of the one before."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What time brought."""

    audit_due: AuditDraw | None = None
    """Send the candidate."""
    summary: Summary | None = None
    """Of the window that ended, if anything happened in it."""


_NOTHING: Final = Verdict()


class Policy:
    """Used by one thread at a time.

    Args:
        seed: of the audit's draws; another one at every start.
    """

    def __init__(self, configuration: Configuration, *, seed: int) -> None:
        self.model = ""
        """The version of the model that answers. `tick` ends the window after a change, `finish` before it."""
        self._configuration = configuration
        self._watched = frozenset(configuration.watch_list)
        self._pace = Pace(configuration)
        self._visits = Visits(configuration, self._pace)
        self._review = Review(configuration.review_frames_per_hour)
        self._audit = Audit(configuration.audit_frames_per_hour, seed=seed)
        self._window = Window()

    def configure(self, configuration: Configuration) -> None:
        """Go on under another configuration: what is under way ends when the new one says so."""
        self._configuration = self._visits.configuration = configuration
        self._watched = frozenset(configuration.watch_list)
        self._review.limit(configuration.review_frames_per_hour)
        self._audit.per_hour = configuration.audit_frames_per_hour

    def see(self, sighting: Sighting) -> Verdict:
        """One frame, in the order in which they were taken."""
        at = sighting.at
        self._window.frame(at, self.model)
        self._pace.saw(at)
        visit = self._visits.see(None if sighting.unknown else sighting.label, at)
        alerts: tuple[Alert, ...] = ()
        if sighting.unknown:
            self._window.unknown += 1
            reason = UNKNOWN
        else:
            doubt = uncertain(sighting, self._configuration)
            alerts = self._count(sighting, visit, sure=not doubt)
            reason = UNCERTAIN if doubt else ""
        if reason and not self._to_review(reason, visit, at):
            reason = ""
        audit = self._audit.saw(at)
        return Verdict(alerts, reason, audit) if alerts or reason or audit else _NOTHING

    def missed(self, *, dropped: int = 0, unreadable: int = 0) -> None:
        """Frames that nobody classified, in the window that is open or the first."""
        self._window.dropped += dropped
        self._window.unreadable += unreadable

    def tick(self, now: float) -> Ticked:
        """End what is over. A frame belongs to the window and the interval that are open when it is seen, whenever it
        was taken, and so to one of each. Call it every second or so, and before the first frame of another model."""
        window = self._window
        over = window.lasted(now) >= self._configuration.summary_seconds
        changed = window.frames > 0 and window.model != self.model
        return self._ticked(now, self._audit.due(now), over=over or changed)

    def finish(self, now: float) -> Ticked:
        """End the window and the audit's interval here, as before a stop."""
        return self._ticked(now, self._audit.close(now), over=True)

    def state(self) -> dict[str, Any]:
        """What must outlive the process, as JSON has it: save it with each frame that goes to review."""
        return {"review": self._review.state()}

    def restore(self, state: object) -> None:
        """Go on from a saved state; whatever it is, it does no harm."""
        self._review.restore(state.get("review") if isinstance(state, Mapping) else state)

    def _count(self, sighting: Sighting, visit: Visit, *, sure: bool) -> tuple[Alert, ...]:
        label, probability = sighting.label, sighting.probability
        seconds = min(self._pace.since_last_seconds, self._visits.gap_seconds)
        counts = self._visits.counts(visit, sure=sure)
        self._window.saw(label, probability=probability, seconds=seconds, visit=counts)
        if label not in self._watched or not self._visits.alerts(visit, sure=sure):
            return ()
        return (Alert(label, probability, visit.frames, sighting.at - visit.began, self.model),)

    def _to_review(self, reason: str, visit: Visit, at: float) -> bool:
        if visit.reviewed:
            return False
        visit.reviewed = self._review.takes(reason, at, apart_seconds=self._visits.gap_seconds)
        self._window.review += visit.reviewed
        return visit.reviewed

    def _ticked(self, now: float, draw: AuditDraw | None, *, over: bool) -> Ticked:
        self._window.audit += draw is not None
        if not over:
            return Ticked(draw)
        window, self._window = self._window, Window(now)
        self._visits.forget()
        return Ticked(draw, None if window.empty else window.summary(now, self.model))
