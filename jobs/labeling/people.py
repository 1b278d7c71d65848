"""What a round shows of each of its people: answers, time, skill, errors on gold, and whether they can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from jobs.labeling.answers import NO_CATEGORY, Bools, Given
from jobs.labeling.intervals import wilson
from jobs.labeling.labeling_jobs import EXPERTS, LABELERS
from jobs.labeling.patterns import Floats

SIGNIFICANCE: Final = 0.01
"""The probability that a round drops anybody who is good enough."""
_SHOWN: Final = 0.0005
"""Expected numbers of answers below this are left out of a confusion matrix: they round to nothing."""


@dataclass(frozen=True)
class Honeypots:
    """How each worker did on gold in this round; columns over the people."""

    objects: NDArray[np.intp]
    errors: NDArray[np.intp]
    p_values: Floats
    dropped: Bools

    @classmethod
    def judged(cls, given: Given, on_gold: Bools, right: Bools, minimum_accuracy: float) -> "Honeypots":
        """Find the people whose accuracy is surely below `minimum_accuracy`.

        The exact one-sided binomial test of "the accuracy is at least the minimum": its p-value is the probability of
        so few right answers, or fewer, at the minimum. Somebody is dropped when it is at most SIGNIFICANCE over the
        number of people tested (Bonferroni), so a round wrongly drops anybody with probability SIGNIFICANCE at most.
        Answers that name no category count neither way.

        Only this round's answers: tested again on the same answers in each round, everybody would be dropped one day.
        """
        people = len(given.people)
        counted = on_gold & ~given.before & (given.labels != NO_CATEGORY)
        objects = np.bincount(given.workers[counted], minlength=people)
        errors = np.bincount(given.workers[counted & ~right], minlength=people)
        p_values = bdtr(objects - errors, objects, minimum_accuracy)
        tested = max(1, int(np.count_nonzero(objects)))
        return cls(objects, errors, p_values, np.asarray((p_values <= SIGNIFICANCE / tested) & (objects > 0)))


def report(
    given: Given, honeypots: Honeypots, counts: Floats, class_names: Sequence[str], experts: Bools
) -> list[dict[str, Any]]:
    """One entry for each worker who answered in this round.

    `skill` is the share of a worker's answers that the consolidation believes to be right, gold included; `confusion`
    is what they are expected to have answered how often to what: {true class: {answered class: expected answers}}.

    Args:
        counts: [worker, true class, answered class], see tasks.Opinions.
        experts: [worker]: whether they are of the experts' tier.
    """
    workers = []
    ours = given.where(~given.before)
    for number, person in enumerate(given.people):
        mine = ours.where(ours.workers == number)
        if not len(mine):
            continue
        said, agreed = float(counts[number].sum()), float(np.trace(counts[number]))
        skill_low, skill_high = wilson(agreed, said)
        objects, errors = int(honeypots.objects[number]), int(honeypots.errors[number])
        low, high = wilson(errors, objects)
        seconds = mine.seconds[np.isfinite(mine.seconds)]
        workers.append(
            {
                "worker": person,
                "tier": EXPERTS if experts[number] else LABELERS,
                "teams": [
                    team for team, there in ((LABELERS, ~mine.by_experts), (EXPERTS, mine.by_experts)) if there.any()
                ],
                "answers": len(mine),
                "answers_without_category": int((mine.labels == NO_CATEGORY).sum()),
                "median_seconds": round(float(np.median(seconds)), 3) if len(seconds) else None,
                "skill": round(agreed / said, 6) if said else None,
                "skill_low": skill_low,
                "skill_high": skill_high,
                "confusion": _confusion(counts[number], class_names),
                "gold_objects": objects,
                "gold_errors": errors,
                "error": errors / objects if objects else None,
                "low": low,
                "high": high,
                "dropped": bool(honeypots.dropped[number]),
                "p_value": float(honeypots.p_values[number]) if objects else None,
            }
        )
    return workers


def _confusion(counts: Floats, class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}
    for true, answered in np.argwhere(counts >= _SHOWN).tolist():
        table.setdefault(class_names[true], {})[class_names[answered]] = round(float(counts[true, answered]), 3)
    return table
