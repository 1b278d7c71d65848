"""Above which confidence the machine's labels are accepted, proven on objects whose label is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from jobs.labeling.intervals import CONFIDENCE, clopper_pearson_upper, evidence_needed

Bound = Literal["pooled", "per-class"]

SPARE_ERRORS: Final = 3
"""With plenty of evidence the search starts where this many errors can be absorbed: one unlucky object must not end it
at once."""
FIRST_SHARE: Final = 1 / 3
CLAIMED_SHARE: Final = 1 / 4


@dataclass(frozen=True)
class Evidence:
    """What the machine said about objects whose label is known, an item of each for every object."""

    labels: Sequence[str]
    confidences: NDArray[np.float64]
    correct: NDArray[np.bool_]


@dataclass(frozen=True)
class Acceptance:
    """Labels that the machine is surer of than `threshold` are accepted; none, when it is None."""

    threshold: float | None
    objects: int
    """How many objects of the evidence lie above the threshold, or were looked at in vain."""
    errors: int
    upper_bound: float
    """The error rate among accepted labels, with the confidence asked for at most this."""
    reason: str


@dataclass(frozen=True)
class Rule:
    """Which labels are accepted, and why."""

    thresholds: Mapping[str, float]
    """By label; nothing is accepted under a label that is not here."""
    acceptances: Mapping[str, Acceptance]
    """By label, or one under "" for all labels together."""

    def accepts(self, label: str, confidence: float) -> bool:
        threshold = self.thresholds.get(label)
        return threshold is not None and confidence > threshold


NOTHING: Final = Rule({}, {})
"""The rule where no machine has scored anything."""


def rule(evidence: Evidence, categories: Sequence[str], *, budget: float, bound: Bound) -> Rule:
    """The thresholds above which the error rate among accepted labels stays within the budget, with CONFIDENCE.

    "pooled" keeps the budget over all accepted labels together: a rare class may be worse than that. "per-class" keeps
    it for the labels of each class by itself, for all classes at once: each is tested at (1 - CONFIDENCE) / classes,
    so that by the union bound the chance that any of them breaks its budget is 1 - CONFIDENCE at most (Bonferroni's
    correction: A. N. Angelopoulos et al., "Learn then Test", 2021, https://arxiv.org/abs/2110.01052, section 3). That
    takes much more evidence: for a 5 % budget and ten classes 105 objects of each class, in place of 60 altogether.

    Labels outside the categories are never accepted, so the evidence about them says nothing and is left out.
    """
    said = np.array(evidence.labels, dtype=object)
    if bound == "pooled":
        among = np.isin(said, list(categories))
        found = acceptance(evidence.confidences[among], evidence.correct[among], budget)
        thresholds = {} if found.threshold is None else dict.fromkeys(categories, found.threshold)
        return Rule(thresholds, {"": found})
    confidence = 1 - (1 - CONFIDENCE) / len(categories)
    by_class = {
        label: acceptance(evidence.confidences[said == label], evidence.correct[said == label], budget, confidence)
        for label in categories
    }
    return Rule({label: one.threshold for label, one in by_class.items() if one.threshold is not None}, by_class)


def acceptance(
    confidences: NDArray[np.float64], correct: NDArray[np.bool_], budget: float, confidence: float = CONFIDENCE
) -> Acceptance:
    """The confidence above which the machine's labels may be accepted, from how it did where the label is known.

    Fixed sequence testing (A. N. Angelopoulos et al., "Learn then Test", 2021, https://arxiv.org/abs/2110.01052,
    section 3). The candidates are the confidences of the known objects, from the highest down. Each one tests the
    hypothesis "the error rate among labels above it exceeds the budget" by the exact binomial p-value of the errors
    among the known objects above it, P(Binomial(objects, budget) <= errors). The first hypothesis that cannot be
    rejected ends the search, and since nothing after it is tried, all tests together err with probability
    1 - `confidence` at most, however many there were: to accept too much, the one test at the first true hypothesis
    has to err. So nothing is paid for trying every candidate.

    - Given the k-th highest confidence, the k - 1 objects above it are a random sample of what lies above it, so their
      errors are binomial. The k-th object itself does not count: it was chosen for where it lies.
    - The search starts where a test can succeed (`_first_test`). Confidences decide that, never whether the machine
      was right, and so it costs nothing as long as the error rate among accepted labels crosses the budget once as
      the threshold falls, as it does for any confidence that orders objects at all.
    - The threshold never falls below the least sure known object: nothing is known there.

    What the bound speaks of is the error rate behind the accepted labels of a pool drawn like the evidence; the labels
    of one round have luck of their own besides, the less the more there are. Frames that a device sent in because its
    model was unsure of them are worse at equal confidence: they are no evidence and go to people. Images from elsewhere
    can be worse too: hence the audit of each round.

    Args:
        confidences: of the known objects.
        correct: whether the machine was right about each.
    """
    known, needed = len(confidences), evidence_needed(budget, confidence=confidence) + 1
    if known < needed:
        return Acceptance(None, 0, 0, 1.0, f"{known} known objects are too few: at least {needed} are needed")
    surest_first = np.argsort(-confidences, kind="stable")
    descending = confidences[surest_first]
    above = np.arange(_first_test(descending, budget, confidence), known)
    # Of equal confidences the first has all that is above them before it.
    above = above[descending[above] != descending[above - 1]]
    if not len(above):
        return Acceptance(None, 0, 0, 1.0, f"the {known} known objects are all equally sure: nothing tells them apart")
    errors = np.cumsum(~correct[surest_first])[above - 1]
    failed = bdtr(errors.astype(np.float64), above, budget) > 1 - confidence
    passed = int(failed.argmax()) if failed.any() else len(above)
    last = max(passed - 1, 0)
    count, wrong = int(above[last]), int(errors[last])
    upper = clopper_pearson_upper(wrong, count, confidence)
    found = f"{wrong} errors among the {count} surest of {known} known objects, so with {confidence:.4g} confidence"
    if not passed:
        return Acceptance(None, count, wrong, upper, f"{found} no better than {upper:.4f}: not good enough")
    return Acceptance(float(descending[count]), count, wrong, upper, f"{found} at most {upper:.4f}")


def _first_test(descending: NDArray[np.float64], budget: float, confidence: float) -> int:
    """How many known objects the first test looks at: as many as spare SPARE_ERRORS errors, or fewer.

    Not more than FIRST_SHARE of them, and not more than those among which the machine itself expects errors for no
    more than CLAIMED_SHARE of the budget, unless no test could succeed with so few. Later, an error at the very top no
    longer ends the search; but a test that reaches below what the machine is good at fails whatever comes before. Both
    shares were chosen for what is accepted in benchmarks/routing_scenario.py, by models that are better and worse than
    the one there: they decide how much is accepted, not whether the bound holds.
    """
    claimed = np.cumsum(1 - descending) / np.arange(1, len(descending) + 1)
    most = min(int(len(descending) * FIRST_SHARE), int((claimed <= budget * CLAIMED_SHARE).sum()))
    needs = [evidence_needed(budget, errors, confidence) for errors in range(SPARE_ERRORS + 1)]
    return max((needed for needed in needs if needed <= most), default=needs[0])
