"""Whoever is dropped is surely worse than asked for; whoever is good enough is almost never dropped."""

import numpy as np
import pytest

from jobs.labeling.answers import NO_CATEGORY, Book
from jobs.labeling.people import SIGNIFICANCE, Honeypots

MINIMUM = 0.7


def judged(accuracies: tuple[float, ...], seed: int, honeypots: int = 30) -> Honeypots:
    """The verdict on people who answer all honeypots, each right with their own probability."""
    rng, book, right = np.random.default_rng(seed), Book(), []
    for item in range(honeypots):
        for number, accuracy in enumerate(accuracies):
            book.add(item, f"w{number}", 0, by_experts=False)
            right.append(rng.random() < accuracy)
    given = book.closed()
    return Honeypots.judged(given, np.ones(len(given), np.bool_), np.array(right, np.bool_), MINIMUM)


def test_a_round_drops_somebody_who_is_just_good_enough_in_one_of_a_hundred_at_most() -> None:
    rounds = 2000
    wrongly = sum(judged((MINIMUM,) * 5, seed, honeypots=20).dropped.any() for seed in range(rounds))
    # Three deviations above what is promised.
    assert wrongly <= rounds * SIGNIFICANCE + 3 * (rounds * SIGNIFICANCE) ** 0.5


def test_people_who_guess_are_dropped_and_the_others_are_not() -> None:
    for seed in range(50):
        assert judged((0.97, 0.2, 0.95, 0.1), seed, honeypots=40).dropped.tolist() == [False, True, False, True]


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_few_honeypots_are_no_evidence_against_anybody(answers: int) -> None:
    assert not judged((0.0, 0.0), 1, honeypots=answers).dropped.any()


def test_who_says_that_nobody_can_tell_is_not_wrong_and_earlier_rounds_are_not_held_against_anybody() -> None:
    book = Book()
    for item in range(60):
        book.add(item, "careful", NO_CATEGORY, by_experts=False)
        book.add(item, "learned", 0, by_experts=False, before=item < 30)
    given = book.closed()
    right = np.array([not before for before in given.before]) & (given.labels != NO_CATEGORY)
    verdict = Honeypots.judged(given, np.ones(len(given), np.bool_), right, MINIMUM)
    assert verdict.objects.tolist() == [0, 30]
    assert verdict.errors.tolist() == [0, 0]
    assert not verdict.dropped.any()
