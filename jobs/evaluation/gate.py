"""Whether a model may ship: one check per setting of the gate, each with its reason whether it passes or not."""

from dataclasses import dataclass
from typing import Final, Literal

from jobs.evaluation.advice import percent
from jobs.evaluation.comparison import Comparison
from jobs.evaluation.rates import Rate, accuracy
from jobs.evaluation.tables import ClassFigures
from jobs.labeling.intervals import CONFIDENCE

Demand = Literal["not-worse", "better"]
_NAMED: Final = 3


@dataclass(frozen=True)
class Terms:
    """What the gate asks. A `minimum_recall` of 0 asks nothing."""

    minimum_accuracy: float
    minimum_recall: float
    champion: Demand


@dataclass(frozen=True)
class Check:
    check: str
    passed: bool
    reason: str


def judged(test: Rate, classes: list[ClassFigures], comparison: Comparison | None, terms: Terms) -> list[Check]:
    """Every check, in the order of the settings."""
    checks = [_accuracy(test, terms.minimum_accuracy)]
    if terms.minimum_recall:
        checks.append(_recall(classes, terms.minimum_recall))
    return [*checks, _champion(comparison, terms.champion)]


def _accuracy(test: Rate, minimum: float) -> Check:
    reached = accuracy(test.error, test.objects)
    passed = reached >= minimum
    word = "reaches" if passed else "is below"
    reason = f"test accuracy {reached:.4f} ({test.objects} objects) {word} the minimum {minimum:g}"
    return Check("minimum_accuracy", passed, reason)


def _recall(classes: list[ClassFigures], minimum: float) -> Check:
    """Refuses only what is sure: with ten objects of a class, one error more or less is chance."""
    low = sorted((one for one in classes if one.high < minimum), key=lambda one: (one.recall or 0.0, one.label))
    if low:
        named = ", ".join(f"{one.label} {one.recall:.2f} (at most {one.high:.2f})" for one in low[:_NAMED])
        more = f" and {len(low) - _NAMED} more" if len(low) > _NAMED else ""
        return Check("minimum_recall", False, f"recall is surely below the minimum {minimum:g} for {named}{more}")
    unseen = sum(one.objects == 0 for one in classes)
    without = f"; {unseen} of {len(classes)} classes have no test object" if unseen else ""
    return Check("minimum_recall", True, f"no class has a recall surely below the minimum {minimum:g}{without}")


def _champion(comparison: Comparison | None, demand: Demand) -> Check:
    if comparison is None:
        return Check("champion", True, "there is no champion to beat")
    name = comparison.model_version
    if not comparison.objects:
        return Check(
            "champion",
            demand == "not-worse",
            f"no test object has a class that champion {name} knows, so the two cannot be compared",
        )
    worse, better = comparison.p_worse < 1 - CONFIDENCE, comparison.p_better < 1 - CONFIDENCE
    word = "is worse than" if worse else "is better than" if better else "cannot be told from"
    reason = (
        f"it {word} champion {name} on the same {comparison.objects} test objects: {comparison.only_candidate_right} "
        f"only it gets right, {comparison.only_champion_right} only the champion (p {_p(comparison, worse=worse)}), "
        f"accuracy {percent(comparison.candidate_right / comparison.objects)} and "
        f"{percent(comparison.champion_right / comparison.objects)}"
    )
    if comparison.left_out:
        reason += f"; {comparison.left_out} objects of classes that the champion does not know are left out"
    if worse and comparison.by_machine:
        reason += f"; a machine gave {comparison.by_machine} of the labels that only the champion agrees with"
    return Check("champion", better if demand == "better" else not worse, reason)


def _p(comparison: Comparison, *, worse: bool) -> str:
    return f"{comparison.p_worse if worse else comparison.p_better:.2g}"
