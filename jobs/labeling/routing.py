"""Which labels of the machine are accepted, and what people get to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from jobs.labeling.intervals import CONFIDENCE, clopper_pearson_upper, evidence_needed

Item = TypeVar("Item")


@dataclass(frozen=True)
class Acceptance:
    """The threshold that the gold supports; None when it supports none."""

    threshold: float | None
    gold_accepted: int
    gold_errors: int
    upper_bound: float
    """The error among accepted labels, with CONFIDENCE at most this."""
    reason: str


def acceptance(
    gold_confidences: NDArray[np.float64],
    gold_correct: NDArray[np.bool_],
    pool_confidences: NDArray[np.float64],
    budget: float,
) -> Acceptance:
    """The lowest confidence from which on the machine's labels may be accepted.

    Fixed sequence testing (A. N. Angelopoulos et al., "Learn then Test", 2021, https://arxiv.org/abs/2110.01052,
    section 3): the candidate thresholds are the pool's own confidences, on which the gold's labels have no influence,
    tried from the highest down. Each one tests the hypothesis "the error among labels at or above it exceeds the
    budget" with the exact Clopper-Pearson bound of the gold objects there. The first hypothesis that cannot be
    rejected ends the search, and since nothing after it is tried, all tests together err with probability 5 % at
    most, however many there were: at the first true hypothesis in the sequence, whichever that is, one test has to err.

    Candidates with less gold than any test could succeed on are passed over at the start. That costs nothing as long
    as the error among accepted labels crosses the budget once as the threshold falls, as it does for any confidence
    that orders objects at all.

    What the bound speaks of is a pool drawn like the gold. Objects that come from elsewhere, or that were sent in
    because another model was unsure of them, can be worse at equal confidence: hence the audit of each round.
    """
    needed = evidence_needed(budget)
    best = Acceptance(None, 0, 0, 1.0, f"{len(gold_confidences)} gold objects; {needed} without an error are needed")
    ascending = np.argsort(gold_confidences)
    confidences = gold_confidences[ascending]
    # errors_from[i]: errors among the gold objects that are at least as sure as the i-th least sure one.
    errors_from = np.concatenate([np.cumsum(~gold_correct[ascending][::-1])[::-1], [0]])
    candidates = np.unique(pool_confidences)[::-1]
    first = np.searchsorted(confidences, candidates, side="left")
    tested: tuple[int, int] | None = None
    for candidate, start in zip(candidates.tolist(), first.tolist(), strict=True):
        objects, errors = len(confidences) - start, int(errors_from[start])
        if objects < needed:
            continue
        if tested != (objects, errors):
            tested, bound = (objects, errors), clopper_pearson_upper(errors, objects)
        if bound > budget:
            if best.threshold is None:
                reason = f"{errors} errors among the {objects} surest gold objects: the error may be {bound:.3f}"
                best = Acceptance(None, objects, errors, bound, reason)
            break
        reason = f"{errors} errors among {objects} gold objects: at most {bound:.4f} with {CONFIDENCE:.0%} confidence"
        best = Acceptance(candidate, objects, errors, bound, reason)
    return best


def honeypots_for(objects: int, share: float) -> int:
    """How many gold objects make `share` of the people's work when mixed into this many others."""
    return int(np.ceil(objects * share / (1 - share))) if objects else 0


def sample(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` of the items (all, if there are fewer), each equally likely, in their order."""
    chosen = rng.choice(len(items), size=min(count, len(items)), replace=False)
    return [items[index] for index in sorted(chosen.tolist())]


def shuffled(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    return [items[index] for index in rng.permutation(len(items)).tolist()]
