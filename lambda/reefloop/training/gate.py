"""Whether a newly trained model may go to devices."""

from math import sqrt
from statistics import NormalDist
from typing import Final

from reefloop.payloads import Verdict
from reefloop.registry import Model

_CONFIDENCE: Final = 0.95


def verdict(candidate: Model, *, champion: Model | None, minimum_accuracy: float) -> Verdict:
    """Accept a model that reaches the minimum accuracy and is not worse than the champion beyond chance.

    The two accuracies are measured on test splits of different size and age, so "lower" alone means little: with
    100 test objects, 0.90 and 0.88 are the same. The candidate is refused when a one-sided test of two proportions
    says at 95 % that it is worse. Its reasons are given either way, one sentence each.
    """
    checks = [_reaches_minimum(candidate, minimum_accuracy), _holds_against(candidate, champion)]
    return Verdict(accepted=all(passed for passed, _ in checks), reasons=[reason for _, reason in checks])


def _reaches_minimum(candidate: Model, minimum_accuracy: float) -> tuple[bool, str]:
    passed = candidate.test_accuracy >= minimum_accuracy
    word = "reaches" if passed else "is below"
    return passed, f"test accuracy {_measured(candidate)} {word} the minimum {minimum_accuracy:g}"


def _holds_against(candidate: Model, champion: Model | None) -> tuple[bool, str]:
    if champion is None:
        return True, "there is no champion to beat"
    passed = confidence_worse(candidate, champion) < _CONFIDENCE
    word = "is not worse than" if passed else "is worse than"
    return passed, (
        f"test accuracy {_measured(candidate)} {word} that of champion {champion.model_version}, "
        f"{_measured(champion)} in dataset {champion.dataset_version}"
    )


def confidence_worse(candidate: Model, champion: Model) -> float:
    """How sure it is, from 0 to 1, that the candidate's true accuracy is below the champion's.

    z = (p0 - p1) / sqrt(p (1 - p) (1/n0 + 1/n1)), where p is the accuracy of both together.
    """
    n0, n1 = champion.test_objects, candidate.test_objects
    p0, p1 = champion.test_accuracy, candidate.test_accuracy
    p = (n0 * p0 + n1 * p1) / (n0 + n1)
    deviation = sqrt(p * (1 - p) * (1 / n0 + 1 / n1))
    return NormalDist().cdf((p0 - p1) / deviation) if deviation else 0.5


def _measured(model: Model) -> str:
    return f"{model.test_accuracy:.4f} ({model.test_objects} objects)"
