"""What is told at once: a species of the watch list is here."""

from dataclasses import dataclass
from typing import Any

from classifier.policy.sighting import LONGEST_LABEL


@dataclass(frozen=True, slots=True)
class Alert:
    """Raised once a visit."""

    species: str
    probability: float
    """Of the sighting that raised it."""
    frames: int
    """Sightings of the visit until then."""
    visit_seconds: float
    model: str

    @property
    def body(self) -> dict[str, Any]:
        """The message, as JSON has it."""
        return {
            "species": self.species[:LONGEST_LABEL],
            "probability": round(self.probability, 4),
            "frames": self.frames,
            "visit_seconds": round(self.visit_seconds, 2),
            "model": self.model,
        }
