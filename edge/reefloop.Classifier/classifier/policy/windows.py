"""What was seen in a window of time, in few bytes."""

import json
from dataclasses import dataclass
from typing import Any, Final

from classifier.policy.sighting import LONGEST_LABEL

OTHER: Final = "other"
"""Stands for the species that a summary has no room for."""

_MOST_SPECIES: Final = 40
_MOST_BYTES: Final = 4_400
"""Of the body as JSON, not compressed. A message holds 4,800, with the device's name and more around the body."""


@dataclass(slots=True)
class _Species:
    visits: int = 0
    frames: int = 0
    seconds: float = 0.0
    best: float = 0.0

    def add(self, other: "_Species") -> None:
        self.visits += other.visits
        self.frames += other.frames
        self.seconds += other.seconds
        self.best = max(self.best, other.best)

    @property
    def told(self) -> dict[str, Any]:
        return {
            "visits": self.visits,
            "frames": self.frames,
            "seconds": round(self.seconds, 1),
            "best": round(self.best, 3),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A window that ended; `body` is the message, as JSON has it."""

    body: dict[str, Any]


class Window:
    """Frames from `began` on, or from the first look at it, under one model.

    A visit counts in the window in which there was enough evidence of it; its frames and seconds, in the windows in
    which they were.
    """

    def __init__(self, began: float | None = None) -> None:
        self.began, self.model = began, ""
        self.frames = self.unknown = self.unreadable = self.dropped = self.review = self.audit = 0
        self._species: dict[str, _Species] = {}

    @property
    def empty(self) -> bool:
        """Nothing that is worth a byte on a thin link: the seconds of a summary are those that were watched."""
        return not (self.frames or self.unreadable or self.dropped or self.audit)

    def lasted(self, now: float) -> float:
        """Seconds since it began, which is now at the earliest."""
        if self.began is None:
            self.began = now
        return max(now - self.began, 0.0)

    def frame(self, at: float, model: str) -> None:
        """A frame was classified."""
        if not self.frames:
            self.lasted(at)
            self.model = model
        self.frames += 1

    def saw(self, label: str, *, probability: float, seconds: float, visit: bool) -> None:
        """A frame with a known species, which stands for so many seconds; `visit` if a visit is counted with it."""
        species = self._species.get(label)
        if species is None:
            species = self._species[label] = _Species()
        species.frames += 1
        species.seconds += seconds
        species.best = max(species.best, probability)
        species.visits += visit

    def summary(self, now: float, model: str) -> Summary:
        """The window as it is now; `model` is named where none classified a frame."""
        body: dict[str, Any] = {
            "seconds": round(self.lasted(now), 1),
            "frames": self.frames,
            "unreadable": self.unreadable,
            "dropped": self.dropped,
            "model": self.model if self.frames else model,
            "species": {},
            "unknown": self.unknown,
            "review": self.review,
            "audit": self.audit,
        }
        body["species"] = self._told(_MOST_BYTES - _size(body))
        return Summary(body)

    def _told(self, room: int) -> dict[str, dict[str, Any]]:
        """Those with the most frames, as many as there is room for, and the rest under one name."""
        ordered = sorted(self._species.items(), key=lambda item: (-item[1].frames, item[0]))
        told: dict[str, dict[str, Any]] = {}
        other = _Species()
        room -= _size({OTHER: _Species(10**9, 10**9, 1e9, 0.999).told})
        for label, species in ordered:
            size = _size({label: species.told})
            if label != OTHER and len(told) < _MOST_SPECIES and len(label) <= LONGEST_LABEL and size <= room:
                told[label] = species.told
                room -= size
            else:
                other.add(species)
        return told | ({OTHER: other.told} if other.frames else {})


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
