"""The gate: what a model must show, and the reason that it gives either way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.evaluation.comparison import Comparison
from jobs.evaluation.gate import Check, Demand, Terms, judged
from jobs.evaluation.rates import Rate
from jobs.evaluation.tables import class_figures, model_quality

LABELS = ["crab", "squid", "eel", "whale"]


def checks(
    *,
    errors: int = 10,
    objects: int = 100,
    minimum: float = 0.8,
    recall: float = 0.0,
    rights: tuple[int, ...] = (),
    comparison: Comparison | None = None,
    champion: Demand = "not-worse",
) -> dict[str, Check]:
    """By name; `rights` are how many of 20 objects of each class are named right."""
    confusion = np.zeros((4, 4), np.int64)
    for number, right in enumerate(rights):
        confusion[number, number], confusion[number, (number + 1) % 4] = right, 20 - right
    found = judged(
        Rate.counted(errors, objects), class_figures(LABELS, confusion), comparison, Terms(minimum, recall, champion)
    )
    return {check.check: check for check in found}


@pytest.mark.parametrize(("errors", "passed"), [(20, True), (21, False)])
def test_the_minimum_accuracy_is_enough(errors: int, passed: bool) -> None:
    found = checks(errors=errors)["minimum_accuracy"]
    assert found.passed is passed
    assert f"{1 - errors / 100:.4f} (100 objects) {'reaches' if passed else 'is below'} the minimum 0.8" in found.reason


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_minimum_that_is_just_reached_is_reached(percent: int) -> None:
    assert checks(errors=100 - percent, minimum=percent / 100)["minimum_accuracy"].passed


def test_without_a_minimum_recall_there_is_no_such_check() -> None:
    assert set(checks(rights=(0, 0, 0, 0))) == {"minimum_accuracy", "champion"}


def test_a_class_is_refused_only_where_its_recall_is_surely_too_low() -> None:
    # Of 20 objects, 11 right leave the recall open up to 0.77, 12 right up to 0.81.
    surely = checks(recall=0.8, rights=(20, 11, 20, 20))["minimum_recall"]
    assert not surely.passed
    assert surely.reason == "recall is surely below the minimum 0.8 for squid 0.55 (at most 0.77)"
    assert checks(recall=0.8, rights=(20, 12, 20, 20))["minimum_recall"].passed


def test_a_class_without_a_test_object_cannot_be_refused_and_is_mentioned() -> None:
    found = checks(recall=0.8, rights=(20, 20, 20))["minimum_recall"]
    assert found.passed
    assert "1 of 4 classes have no test object" in found.reason


def compared(ahead: int, behind: int, *, left_out: int = 0) -> Comparison:
    return Comparison(
        "v0",
        objects=100,
        left_out=left_out,
        candidate_right=80 + ahead,
        champion_right=80 + behind,
        only_candidate_right=ahead,
        only_champion_right=behind,
    )


@pytest.mark.parametrize(
    ("ahead", "behind", "not_worse", "better", "words"),
    [
        (0, 5, False, False, "is worse than"),
        (0, 4, True, False, "cannot be told from"),
        (4, 0, True, False, "cannot be told from"),
        (5, 0, True, True, "is better than"),
        (0, 0, True, False, "cannot be told from"),
        (9, 9, True, False, "cannot be told from"),
    ],
)
def test_against_the_champion_only_what_is_sure_counts(
    ahead: int, behind: int, not_worse: bool, better: bool, words: str
) -> None:
    found = checks(comparison=compared(ahead, behind), champion="not-worse")["champion"]
    assert found.passed is not_worse
    assert checks(comparison=compared(ahead, behind), champion="better")["champion"].passed is better
    assert f"it {words} champion v0 on the same 100 test objects: {ahead} only it gets right, {behind}" in found.reason


@pytest.mark.parametrize("demand", ["not-worse", "better"])
def test_without_a_champion_there_is_none_to_beat(demand: Demand) -> None:
    assert checks(champion=demand)["champion"] == Check("champion", True, "there is no champion to beat")


MATRICES = st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=4, max_size=4)


@given(MATRICES.filter(lambda rows: any(map(any, rows))))
def test_the_metrics_of_the_registry_are_what_their_names_say(rows: list[list[int]]) -> None:
    confusion = np.array(rows)
    found = model_quality(LABELS, confusion)["multiclass_classification_metrics"]
    objects = confusion.sum()
    accuracy = np.diag(confusion).sum() / objects
    largest = confusion.sum(1).max() / objects
    values = {name: one["value"] for name, one in found.items() if name != "confusion_matrix"}
    assert (values["accuracy"], values["weighted_recall"]) == pytest.approx((accuracy, accuracy))
    assert values["accuracy_best_constant_classifier"] == pytest.approx(largest)
    assert values["weighted_precision_best_constant_classifier"] == pytest.approx(largest**2)
    assert values["weighted_f1_best_constant_classifier"] == pytest.approx(largest * 2 * largest / (1 + largest))
    assert all(0 <= value <= 1 for value in values.values())
    assert found["confusion_matrix"]["crab"]["eel"] == rows[0][2]


def test_spreads_are_given_from_200_objects_on_and_are_the_same_in_every_run() -> None:
    confusion = np.full((4, 4), 2) + np.diag([42, 42, 42, 42])
    assert confusion.sum() == 200
    found, again, fewer = (
        model_quality(LABELS, one)["multiclass_classification_metrics"]["accuracy"]
        for one in (confusion, confusion, confusion - np.eye(4, dtype=np.int64))
    )
    assert found == again
    # Of 160 of 200 objects drawn without replacement, about sqrt(p (1 - p) / 160 * 40 / 199).
    assert 0.005 < found["standard_deviation"] < 0.04
    assert fewer["standard_deviation"] == "NaN"
