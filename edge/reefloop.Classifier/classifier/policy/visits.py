"""The same animal across frames, once: a visit per species, from its first sighting until it stays away.

Trackers call this track confirmation and deletion (S. Blackman and R. Popoli, "Design and Analysis of Modern Tracking
Systems", 1999, chapter 6). There are no tracks here, only one label a frame, and a share of the labels is wrong. So a
visit gathers evidence, a cumulative sum (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954): a sighting
adds one, each frame of something else in between takes a quarter away. An animal whose label is that of more than a
fifth of the frames gets there, stray labels do not. Nor does a stray label keep a visit open: only a sighting that has
another close before it does.

Where frames are so far apart that `visit_gap_seconds` holds fewer than two of them, the footage is sparse: the gap is
then two intervals, one sighting of which the model is sure is evidence enough, and every sighting keeps the visit
open. Pictures more than a minute apart tell nothing of whether it is the same animal: each sighting is a visit.
"""

from dataclasses import dataclass
from typing import Final

from classifier.configuration import Configuration
from classifier.policy.pace import Pace

_FOREIGN: Final = 0.25
"""What a frame of something else takes from the evidence."""
_FORGIVEN: Final = 0.5
"""The evidence that may lack: two frames of something else."""
_SOLID_SECONDS: Final = 1.2
_SOLID_FRAMES: Final = 8
"""A visit counts with this much evidence, whichever is less, and with `alert_frames` at least: the more frames there
are, the more often a wrong label comes twice in a row."""
_CLOSE_FRAMES: Final = 3
_FARTHEST_SECONDS: Final = 60.0


@dataclass(slots=True)
class Visit:
    """One animal in view, or several of the same species: one label a frame cannot tell."""

    began: float
    last: float
    """When it was last seen for sure; it ends a gap later."""
    frame: int
    """The number of the frame with the last sighting, and `seen` the time."""
    seen: float
    fresh: bool
    """The species was not sighted for a gap before it, not even by a stray label."""
    frames: int = 0
    """Sightings."""
    evidence: float = 0.0
    counted: bool = False
    alerted: bool = False
    reviewed: bool = False


class Visits:
    """Who is in view. A frame is a call of `see`, also when it shows nothing known."""

    def __init__(self, configuration: Configuration, pace: Pace) -> None:
        self.configuration, self._pace = configuration, pace
        self._frame, self._at = 0, 0.0
        self._latest: dict[str | None, Visit] = {}

    @property
    def sparse(self) -> bool:
        """The gap holds fewer than two frames."""
        return 2 * self._pace.interval_seconds > self.configuration.visit_gap_seconds

    @property
    def gap_seconds(self) -> float:
        """How long a species may be away during a visit."""
        observed = min(2 * self._pace.interval_seconds, _FARTHEST_SECONDS)
        return max(self.configuration.visit_gap_seconds, observed)

    def see(self, species: str | None, at: float) -> Visit:
        """The visit that a sighting belongs to; the species None is whatever is unknown."""
        self._frame, self._at = self._frame + 1, at
        visit, gap = self._latest.get(species), self.gap_seconds
        if visit is None or at - visit.last > gap:
            fresh = visit is None or at - visit.seen > gap
            # An animal that is recognized now and then is looked at by a person once, like any other.
            reviewed = visit is not None and not fresh and visit.reviewed
            visit = Visit(began=at, last=at, frame=self._frame, seen=at, fresh=fresh, reviewed=reviewed)
            self._latest[species] = visit
        frames_since = self._frame - visit.frame
        if self.sparse or frames_since <= _CLOSE_FRAMES:
            visit.last = at
        visit.evidence = max(visit.evidence - _FOREIGN * max(frames_since - 1, 0), 0.0) + 1
        visit.frame, visit.seen = self._frame, at
        visit.frames += 1
        return visit

    def counts(self, visit: Visit, *, sure: bool) -> bool:
        """Whether the visit is to be counted with this sighting: true once in its life."""
        if visit.counted:
            return False
        solid = min(_SOLID_SECONDS / self._pace.interval_seconds, _SOLID_FRAMES)
        enough = max(self.configuration.alert_frames, solid) - _FORGIVEN
        visit.counted = visit.evidence >= enough or (sure and self.sparse)
        return visit.counted

    def alerts(self, visit: Visit, *, sure: bool) -> bool:
        """Whether the visit is to be told of with this sighting: true once in its life."""
        if visit.alerted:
            return False
        lone = sure and visit.fresh and self.sparse
        visit.alerted = lone or visit.evidence >= self.configuration.alert_frames - _FORGIVEN
        return visit.alerted

    def forget(self) -> None:
        """Drop what is over, which matters to nobody: labels come and go with models over the months."""
        oldest = self._at - self.gap_seconds
        self._latest = {species: visit for species, visit in self._latest.items() if visit.seen >= oldest}
