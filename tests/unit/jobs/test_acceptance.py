"""The machine's labels are accepted where known objects prove that they may be, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.labeling.acceptance import Evidence, acceptance, rule
from jobs.labeling.intervals import clopper_pearson_upper, evidence_needed

BUDGET = 0.05


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=400), st.sampled_from([0.02, 0.05, 0.2]))
def test_what_is_accepted_is_always_backed_by_enough_evidence(known: list[tuple[float, bool]], budget: float) -> None:
    confidences, correct = np.array([c for c, _ in known], float), np.array([right for _, right in known], bool)
    found = acceptance(confidences, correct, budget)
    if found.threshold is not None:
        backing = correct[confidences > found.threshold]
        assert len(backing) == found.objects >= evidence_needed(budget)
        assert clopper_pearson_upper(int((~backing).sum()), len(backing)) == found.upper_bound <= budget + 1e-12


@given(st.integers(0, evidence_needed(BUDGET)))
def test_too_little_evidence_accepts_nothing_however_right_the_model_is(objects: int) -> None:
    found = acceptance(np.linspace(0, 1, objects), np.ones(objects, bool), BUDGET)
    assert found.threshold is None
    assert f"{objects} known objects are too few: at least 60 are needed" in found.reason


def test_enough_evidence_without_an_error_accepts_down_to_its_least_sure_object() -> None:
    found = acceptance(np.linspace(0.5, 1, 100), np.ones(100, bool), BUDGET)
    assert (found.threshold, found.objects, found.errors) == (0.5, 99, 0)


def test_with_plenty_of_evidence_one_unlucky_object_does_not_end_the_search() -> None:
    confidences, correct = np.linspace(0.98, 1, 600), np.ones(600, bool)
    correct[-1] = False
    found = acceptance(confidences, correct, BUDGET)
    assert (found.threshold, found.errors) == (0.98, 1)
    # With evidence for little more than one test there is nothing to spare.
    assert acceptance(confidences[-90:], correct[-90:], BUDGET).threshold is None


def test_a_model_that_is_sure_of_little_is_first_tested_on_that() -> None:
    confidences, correct = np.concatenate([np.linspace(0.99, 1, 80), np.linspace(0.1, 0.9, 520)]), np.arange(600) < 80
    found = acceptance(confidences, correct, BUDGET)
    assert found.threshold is not None
    assert found.threshold > 0.85


def test_the_search_stops_where_errors_begin() -> None:
    confidences = np.concatenate([np.linspace(0.8, 1, 200), np.linspace(0.1, 0.79, 100)])
    found = acceptance(confidences, np.arange(300) < 200, BUDGET)
    assert found.threshold is not None
    assert 0.7 < found.threshold <= 0.8


def test_a_model_that_errs_where_it_is_surest_is_not_trusted_anywhere() -> None:
    confidences = np.linspace(0, 1, 1000)
    found = acceptance(confidences, confidences < 0.98, BUDGET)
    assert found.threshold is None
    assert "not good enough" in found.reason


def test_equal_confidences_stand_or_fall_together() -> None:
    confidences = np.array([1.0] * 80 + [0.6] * 40 + [0.5])
    found = acceptance(confidences, np.arange(121) < 80, BUDGET)
    assert (found.threshold, found.objects) == (0.6, 80)
    alike = acceptance(np.ones(500), np.ones(500, bool), BUDGET)
    assert alike.threshold is None
    assert "equally sure" in alike.reason


@pytest.mark.parametrize("overconfident", [False, True])
def test_the_error_of_accepted_labels_exceeds_the_budget_in_few_rounds(overconfident: bool) -> None:
    # At 5 % each, 1000 rounds give more than 71 with probability 0.001.
    rng, rounds, budget, exceeded, accepted = np.random.default_rng(20_251), 1000, 0.1, 0, 0.0
    for _ in range(rounds):
        # An object of hardness u in (0, 1) is labeled wrong with probability u^2, whatever confidence is claimed.
        hardness = rng.random(600)
        claimed = 1 - (hardness**6 if overconfident else hardness**2)
        found = acceptance(claimed, rng.random(600) >= hardness**2, budget)
        if found.threshold is None:
            continue
        hardest = (1 - found.threshold) ** (1 / 6 if overconfident else 1 / 2)
        accepted += hardest
        # The mean of u^2 below the hardest accepted: the error behind the labels, not the errors that happened.
        exceeded += hardest**2 / 3 > budget
    assert exceeded <= 71
    # Knowing the model's errors one could accept up to the hardness at which that mean is the budget.
    assert accepted / rounds > 0.7 * (3 * budget) ** 0.5


def evidence(**classes: tuple[int, float]) -> Evidence:
    """So many objects said to be of each class, of which that share is wrong, the least sure ones first."""
    labels = [name for name, (count, _) in classes.items() for _ in range(count)]
    confidences = np.concatenate([np.linspace(0.5, 1, count) for count, _ in classes.values()])
    correct = np.concatenate([np.arange(count) >= count * wrong for count, wrong in classes.values()])
    return Evidence(labels, confidences, correct)


def test_one_threshold_serves_all_classes_by_default() -> None:
    found = rule(evidence(crab=(200, 0), squid=(200, 0)), ["crab", "squid", "eel"], budget=BUDGET, bound="pooled")
    assert found.accepts("crab", 0.51)
    assert found.accepts("eel", 0.51)
    assert not found.accepts("crab", 0.5)
    assert not found.accepts("", 0.9)


def test_per_class_a_poor_class_does_not_hide_behind_a_good_one() -> None:
    known = evidence(crab=(2000, 0), squid=(200, 0.2))
    pooled = rule(known, ["crab", "squid"], budget=BUDGET, bound="pooled")
    assert pooled.accepts("squid", 0.55)
    apart = rule(known, ["crab", "squid"], budget=BUDGET, bound="per-class")
    assert apart.accepts("crab", 0.55)
    assert not apart.accepts("squid", 0.55)
    assert apart.accepts("squid", 0.65)


@pytest.mark.parametrize(("classes", "needed"), [(1, 60), (2, 73), (10, 105)])
def test_per_class_every_class_needs_evidence_for_its_part_of_the_confidence(classes: int, needed: int) -> None:
    # (1 - 0.05)^n <= 0.05 / classes, and one object more, which the threshold is.
    categories = [f"class {number}" for number in range(classes)]
    for objects in (needed - 1, needed):
        known = evidence(**{categories[0]: (objects, 0)})
        found = rule(known, categories, budget=BUDGET, bound="per-class")
        assert found.accepts(categories[0], 1.0) == (objects == needed)
        assert not any(found.accepts(name, 1.0) for name in categories[1:])


@pytest.mark.parametrize("bound", ["pooled", "per-class"])
def test_a_class_that_is_no_category_any_more_is_not_accepted_and_is_no_evidence(bound: str) -> None:
    known = evidence(crab=(200, 0), extinct=(200, 1))
    found = rule(known, ["crab"], budget=BUDGET, bound=bound)
    assert found.accepts("crab", 0.51)
    assert not found.accepts("extinct", 1.0)
