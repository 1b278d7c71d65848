"""A model that was trained before, what it says of a round's objects, and what no round knows about it."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from mission.people import CLASSES
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SPREAD: Final = 8.0
"""Standard deviation of the logits: the model is right on 87 % of the objects."""


def drawn(rng: np.random.Generator, objects: int) -> tuple[Floats, Floats]:
    """Logits, and how probably the class with the highest is the true one."""
    logits = rng.normal(0, SPREAD, (objects, CLASSES))
    return logits, 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)


@dataclass(frozen=True)
class Scores:
    """What the machine says of some objects, and whether it is right or how probably, the surest first."""

    confidence: Floats
    margin: Floats
    correct: Bools | Floats

    @classmethod
    def of(cls, logits: Floats, correct: Bools | Floats, sharpness: float) -> Self:
        exponentials = np.exp(sharpness * (logits - logits.max(1, keepdims=True)))
        second, first = np.partition(exponentials, CLASSES - 2, axis=1)[:, -2:].T / exponentials.sum(1)
        order = np.argsort(-first, kind="stable")
        return cls(first[order], (first - second)[order], correct[order])

    def above(self, threshold: float | None) -> int:
        """How many labels are accepted."""
        return 0 if threshold is None else int(np.searchsorted(-self.confidence, -threshold))

    def errors(self, accepted: int) -> int:
        return accepted - int(self.correct[:accepted].sum())

    def error_rates(self) -> Floats:
        """Of the surest object, the two surest, and so on."""
        return np.cumsum(1.0 - self.correct) / np.arange(1, len(self.correct) + 1)

    def oracle(self, budget: float) -> int:
        """How many labels the lowest threshold accepts whose errors, all known, stay within the budget."""
        possible = np.append(self.confidence[1:] != self.confidence[:-1], True)
        places = np.flatnonzero(possible & (self.error_rates() <= budget))
        return int(places[-1]) + 1 if len(places) else 0


@dataclass(frozen=True)
class World:
    """The error rate above every confidence, from very many objects."""

    scores: Scores
    error_rates: Floats

    @classmethod
    def of(cls, seed: int, sharpness: float) -> Self:
        scores = Scores.of(*drawn(np.random.default_rng(seed), 400_000), sharpness)
        return cls(scores, scores.error_rates())

    def error_rate(self, threshold: float | None) -> float:
        """Of accepted labels; 0 when none is."""
        accepted = self.scores.above(threshold)
        return float(self.error_rates[accepted - 1]) if accepted else 0.0
