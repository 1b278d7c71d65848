"""The paired test of two models: only objects that one of them alone gets right tell which is better."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from jobs.evaluation.comparison import Comparison, at_least

COUNTS = st.integers(0, 2000)


def compared(*, only_candidate: int, only_champion: int, both: int = 0) -> Comparison:
    found = Comparison("v0")
    for candidate, champion, count in ((True, False, only_candidate), (False, True, only_champion), (True, True, both)):
        for _ in range(count):
            found.add(candidate=candidate, champion=champion, by_machine=False)
    return found


@given(count=COUNTS, others=COUNTS)
@example(count=0, others=0)
@example(count=2000, others=0)
def test_it_agrees_with_the_exact_binomial_test(count: int, others: int) -> None:
    trials = count + others
    expected = binomtest(count, trials, 0.5, alternative="greater").pvalue if trials else 1.0
    assert at_least(count, trials) == pytest.approx(expected, rel=1e-6, abs=1e-290)


@given(ahead=st.integers(0, 60), behind=st.integers(0, 60))
def test_better_and_worse_are_the_same_question_from_two_sides(ahead: int, behind: int) -> None:
    found = compared(only_candidate=ahead, only_champion=behind)
    mirrored = compared(only_candidate=behind, only_champion=ahead)
    assert (found.p_better, found.p_worse) == (mirrored.p_worse, mirrored.p_better)
    assert found.p_better + found.p_worse >= 1


@given(ahead=st.integers(0, 40), behind=st.integers(0, 40), more=st.integers(1, 40))
def test_every_object_won_makes_it_surer(ahead: int, behind: int, more: int) -> None:
    fewer, ahead_by_more = (compared(only_candidate=count, only_champion=behind) for count in (ahead, ahead + more))
    assert ahead_by_more.p_better < fewer.p_better
    assert ahead_by_more.p_worse >= fewer.p_worse


def test_objects_that_both_get_right_say_nothing() -> None:
    few, many = (compared(only_candidate=7, only_champion=2, both=count) for count in (0, 500))
    assert few.p_better == many.p_better
    assert many.described()["accuracy"] == pytest.approx(502 / 509)


def test_five_objects_won_and_none_lost_are_just_enough() -> None:
    assert compared(only_candidate=4, only_champion=0).p_better == 1 / 16
    assert compared(only_candidate=5, only_champion=0).p_better == 1 / 32
