"""People see the frames that the model doubts, a few an hour, spread over it, also when the component restarts."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from classifier.configuration import Configuration
from classifier.policy import Policy, Sighting
from classifier.policy.review import Review
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.policy.recorded import SURE, UNKNOWN, UNSURE, policy, seen, summary

HOUR = 3600.0
LARGE = 1000


def reviewed(subject: Policy, sightings: list[Sighting]) -> list[tuple[float, str]]:
    return [(each.at, reason) for each in sightings if (reason := subject.see(each).review)]


def doubts(begin: float, end: float, every: float = 70.0) -> list[Sighting]:
    """Frames of which the model is unsure; each is a visit of its own, if they are more than a minute apart."""
    return [seen(begin + every * n, like=UNSURE) for n in range(math.ceil((end - begin) / every))]


@pytest.mark.parametrize(
    ("sighting", "reason"),
    [
        (SURE, ""),
        (replace(SURE, margin=0.19), "uncertain"),
        (replace(SURE, margin=0.2), ""),
        (replace(SURE, entropy=0.61), "uncertain"),
        (replace(SURE, entropy=0.6), ""),
        (replace(SURE, unsure=True), "uncertain"),
        (replace(SURE, margin=math.nan), "uncertain"),
        (replace(SURE, entropy=math.nan), "uncertain"),
        (UNKNOWN, "unknown"),
        (replace(UNSURE, unknown=True), "unknown"),
    ],
)
def test_a_frame_goes_to_review_for_what_makes_it_doubtful(sighting: Sighting, reason: str) -> None:
    assert policy(margin_below=0.2, entropy_above=0.6).see(sighting).review == reason


def test_a_visit_sends_one_frame_however_long_it_lasts() -> None:
    subject = policy(review_frames_per_hour=LARGE)
    assert reviewed(subject, doubts(0, 60, every=0.5)) == [(0.0, "uncertain")]
    assert reviewed(subject, doubts(70, 130, every=0.5)) == [(70.0, "uncertain")]
    assert summary(subject, 200.0)["review"] == 2


def test_a_visit_that_was_refused_sends_its_frame_when_there_is_room_again() -> None:
    subject = policy(review_frames_per_hour=1)
    assert reviewed(subject, doubts(0, 1, every=0.5)) == [(0.0, "uncertain")]
    assert reviewed(subject, doubts(3590, 3700, every=0.5)) == [(3600.0, "uncertain")]


def test_an_animal_whose_label_changes_from_frame_to_frame_does_not_send_one_for_each() -> None:
    subject = policy(review_frames_per_hour=LARGE)
    flickering = [seen(0.5 * n, f"species {n}", UNSURE) for n in range(6)]
    assert len(reviewed(subject, flickering)) == 1


def test_what_is_unknown_has_a_frame_of_its_own_beside_the_uncertain_one() -> None:
    subject = policy(review_frames_per_hour=LARGE)
    mixed = [seen(0.5 * n, like=UNKNOWN if n % 2 else UNSURE) for n in range(20)]
    assert reviewed(subject, mixed) == [(0.0, "uncertain"), (0.5, "unknown")]


def test_an_animal_that_is_recognized_now_and_then_sends_one_frame() -> None:
    subject = policy(review_frames_per_hour=LARGE)
    footage = [seen(0.5 * n, like=UNSURE if n % 5 == 0 else UNKNOWN) for n in range(200)]
    assert reviewed(subject, footage) == [(0.0, "uncertain"), (0.5, "unknown")]


@given(
    per_hour=st.integers(0, 60),
    pauses=st.lists(st.floats(0, 1200), max_size=300),
    restarts=st.sets(st.integers(0, 299)),
)
def test_no_sixty_minutes_see_more_than_the_limit_whatever_is_restarted(
    per_hour: int, pauses: list[float], restarts: set[int]
) -> None:
    review, at, taken = Review(per_hour), 0.0, []
    for number, pause in enumerate(pauses):
        at += pause
        if number in restarts:
            saved = json.loads(json.dumps(review.state()))
            review = Review(per_hour)
            review.restore(saved)
        if review.takes("uncertain", at, apart_seconds=0.0):
            taken.append(at)
    for begin in taken:
        assert sum(begin <= at < begin + HOUR for at in taken) <= per_hour


def test_a_burst_leaves_most_of_the_hour_for_the_rest_of_it() -> None:
    review = Review(12)
    burst = [at for at in range(60) if review.takes("uncertain", at, apart_seconds=0.0)]
    assert burst == [0, 1, 2]
    later = [at for at in range(60, 3600) if review.takes("uncertain", at, apart_seconds=0.0)]
    assert len(later) == 9
    assert max(after - before for before, after in pairwise(later)) <= HOUR / 10


@pytest.mark.parametrize(("per_hour", "a_day"), [(0, 0), (1, 24), (2, 48), (12, 242), (100, 1848)])
def test_constant_doubt_is_sampled_all_day_at_three_quarters_of_the_rate_or_more(per_hour: int, a_day: int) -> None:
    review = Review(per_hour)
    assert sum(review.takes("uncertain", float(at), apart_seconds=0.0) for at in range(24 * 3600)) == a_day


@pytest.mark.parametrize(("per_hour", "a_day", "left"), [(8, 168, 1), (20, 386, 2), (100, 1836, 12)])
def test_a_day_of_unknown_water_leaves_half_a_burst_to_uncertain_frames(per_hour: int, a_day: int, left: int) -> None:
    review, end = Review(per_hour), 24 * 3600
    assert sum(review.takes("unknown", float(at), apart_seconds=0.0) for at in range(end)) == a_day
    assert sum(review.takes("uncertain", float(end), apart_seconds=0.0) for _ in range(per_hour)) == left


def test_another_limit_applies_at_once() -> None:
    subject = policy(review_frames_per_hour=400)
    assert len(reviewed(subject, doubts(0, 2100))) == 30
    subject.configure(Configuration(review_frames_per_hour=0))
    assert reviewed(subject, doubts(2200, 4000)) == []
    subject.configure(Configuration(review_frames_per_hour=4))
    assert 1 <= len(reviewed(subject, doubts(5000, 8600))) <= 4


def test_a_restarted_component_goes_on_with_what_is_left_of_the_hour() -> None:
    before = policy(review_frames_per_hour=12)
    assert len(reviewed(before, doubts(0, 300))) == 3
    after = policy(review_frames_per_hour=12)
    after.restore(json.loads(json.dumps(before.state())))
    assert reviewed(after, doubts(0, 100)) == []  # the clock began anew, too
    assert len(reviewed(policy(review_frames_per_hour=12), doubts(0, 300))) == 3


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_first_start_has_the_allowance_of_a_new_device(nothing: object) -> None:
    subject = policy()
    subject.restore(nothing)
    assert reviewed(subject, doubts(0, 100)) != []


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["review", "allowance", "x"]), inner),
)


@given(GARBAGE)
def test_a_saved_state_that_is_garbage_never_lets_more_through(garbage: object) -> None:
    subject = policy(review_frames_per_hour=12)
    subject.restore(garbage)
    assert len(reviewed(subject, doubts(0, 3600))) <= 12
    json.dumps(subject.state(), allow_nan=False)


@pytest.mark.parametrize("garbage", ["x", [1], {"review": "x"}, {"review": {"allowance": "3"}}, {"review": {"a": 1}}])
def test_a_saved_state_that_cannot_be_read_is_taken_for_spent(garbage: object) -> None:
    subject = policy(review_frames_per_hour=12)
    subject.restore(garbage)
    assert reviewed(subject, doubts(0, 300)) == []
    assert reviewed(subject, doubts(400, 800)) != []
