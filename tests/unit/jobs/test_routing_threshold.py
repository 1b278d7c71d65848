"""The machine's labels are accepted where the gold proves that they may be, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.labeling import routing
from jobs.labeling.intervals import clopper_pearson_upper, evidence_needed
from jobs.labeling.routing import acceptance

BUDGET = 0.05


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=400), st.sampled_from([0.02, 0.05, 0.2]))
def test_what_is_accepted_is_always_backed_by_enough_gold(gold: list[tuple[float, bool]], budget: float) -> None:
    confidences, correct = np.array([c for c, _ in gold], float), np.array([right for _, right in gold], bool)
    found = acceptance(confidences, correct, budget)
    if found.threshold is not None:
        backing = correct[confidences > found.threshold]
        assert len(backing) == found.gold_accepted >= evidence_needed(budget)
        assert clopper_pearson_upper(int((~backing).sum()), len(backing)) == found.upper_bound <= budget


@given(st.integers(0, evidence_needed(BUDGET)))
def test_too_little_gold_accepts_nothing_however_right_the_model_is(objects: int) -> None:
    found = acceptance(np.linspace(0, 1, objects), np.ones(objects, bool), BUDGET)
    assert found.threshold is None
    assert f"{objects} gold objects are too few: at least 60 are needed" in found.reason


def test_enough_gold_without_an_error_accepts_down_to_its_least_sure_object() -> None:
    found = acceptance(np.linspace(0.5, 1, 100), np.ones(100, bool), BUDGET)
    assert (found.threshold, found.gold_accepted, found.gold_errors) == (0.5, 99, 0)


def test_with_plenty_of_gold_one_unlucky_object_does_not_end_the_search() -> None:
    confidences, correct = np.linspace(0.5, 1, 400), np.ones(400, bool)
    correct[-1] = False
    found = acceptance(confidences, correct, BUDGET)
    assert (found.threshold, found.gold_errors) == (0.5, 1)
    # With gold for no more than one test there is nothing to spare.
    assert acceptance(confidences[-90:], correct[-90:], BUDGET).threshold is None


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
    assert (found.threshold, found.gold_accepted) == (0.6, 80)
    assert acceptance(np.ones(500), np.ones(500, bool), BUDGET).threshold is None


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


@given(st.integers(1, 10_000), st.floats(0.01, 0.9))
def test_honeypots_make_their_share_of_the_peoples_work(objects: int, share: float) -> None:
    honeypots = routing.honeypots_for(objects, share)
    assert honeypots / (honeypots + objects) >= share - 1e-9
    assert (honeypots - 1) / (honeypots - 1 + objects) < share + 1e-9
    assert routing.honeypots_for(0, share) == 0


@given(st.lists(st.integers(), unique=True), st.integers(0, 50), st.integers(0, 2**32))
def test_a_sample_is_part_of_the_items_each_once(items: list[int], count: int, seed: int) -> None:
    chosen = routing.sample(items, count, np.random.default_rng(seed))
    assert len(chosen) == min(count, len(items)) == len(set(chosen))
    assert [item for item in items if item in chosen] == chosen
    assert sorted(routing.shuffled(items, np.random.default_rng(seed))) == sorted(items)
