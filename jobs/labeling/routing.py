"""Which labels of the machine are accepted, and what people get to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from jobs.labeling.intervals import CONFIDENCE, clopper_pearson_upper, evidence_needed

Item = TypeVar("Item")

SPARE_ERRORS: Final = 3
"""With plenty of gold the search starts where this many errors can be absorbed: one unlucky object must not end it."""


@dataclass(frozen=True)
class Acceptance:
    """Labels that the machine is surer of than `threshold` are accepted; none, when it is None."""

    threshold: float | None
    gold_accepted: int
    gold_errors: int
    upper_bound: float
    """The error among accepted labels, with CONFIDENCE at most this."""
    reason: str


def acceptance(confidences: NDArray[np.float64], correct: NDArray[np.bool_], budget: float) -> Acceptance:
    """The confidence above which the machine's labels may be accepted, from how it did on gold.

    Fixed sequence testing (A. N. Angelopoulos et al., "Learn then Test", 2021, https://arxiv.org/abs/2110.01052,
    section 3). The candidates are the confidences of the gold objects, from the highest down. Each one tests the
    hypothesis "the error among labels above it exceeds the budget" with the exact Clopper-Pearson bound of the gold
    objects above it. The first hypothesis that cannot be rejected ends the search, and since nothing after it is
    tried, all tests together err with probability 5 % at most, however many there were: to accept too much, the one
    test at the first true hypothesis has to err.

    - Given the k-th highest confidence, the k - 1 objects above it are a random sample of what lies above it, so their
      errors are binomial. The k-th object itself does not count: it was chosen for where it lies.
    - The search starts where a test can succeed, which the amount of gold alone decides. That costs nothing as long
      as the error among accepted labels crosses the budget once as the threshold falls, as it does for any confidence
      that orders objects at all.
    - The threshold never falls below the least sure gold object: nothing is known there.

    What the bound speaks of is a pool drawn like the gold. Frames that a device sent in because its model was unsure
    of them are worse at equal confidence: they go to people (`is_selected`). Images from elsewhere can be worse too:
    hence the audit of each round.

    Args:
        confidences: of the gold objects.
        correct: whether the machine was right about each.
    """
    gold = len(confidences)
    best = Acceptance(
        None, 0, 0, 1.0, f"{gold} gold objects are too few: at least {evidence_needed(budget) + 1} are needed"
    )
    surest_first = np.argsort(-confidences, kind="stable")
    descending, errors_before = confidences[surest_first], np.cumsum(~correct[surest_first])
    # Of equal confidences the first has all that is above them before it.
    for above in range(_first_test(gold, budget), gold):
        if descending[above] == descending[above - 1]:
            continue
        errors = int(errors_before[above - 1])
        bound = clopper_pearson_upper(errors, above)
        found = f"{errors} errors among the {above} surest of {gold} gold objects, so with {CONFIDENCE:.0%} confidence"
        if bound > budget:
            if best.threshold is None:
                best = Acceptance(None, above, errors, bound, f"{found} no better than {bound:.4f}: not good enough")
            break
        best = Acceptance(float(descending[above]), above, errors, bound, f"{found} at most {bound:.4f}")
    return best


def _first_test(gold: int, budget: float) -> int:
    """How many gold objects the first test looks at: at most half of them, if that is evidence enough."""
    needs = [evidence_needed(budget, errors) for errors in range(SPARE_ERRORS + 1)]
    return max((needed for needed in needs if needed <= gold / 2), default=needs[0])


def is_selected(key: str) -> bool:
    """Whether a device chose this image because its model was unsure of it: no bound from gold speaks of such."""
    return key.startswith("images/edge/")


def honeypots_for(objects: int, share: float) -> int:
    """How many gold objects make `share` of the people's work when mixed into this many others."""
    # Rounded first: 33 * 0.4 / 0.6 is a little more than 22.
    return int(np.ceil(round(objects * share / (1 - share), 9)))


def sample(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` of the items (all, if there are fewer), each equally likely, in their order."""
    chosen = rng.choice(len(items), size=min(count, len(items)), replace=False)
    return [items[index] for index in sorted(chosen.tolist())]


def shuffled(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    return [items[index] for index in rng.permutation(len(items)).tolist()]
