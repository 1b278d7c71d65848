"""The audit's frames are drawn so that accuracy can be estimated from them without bias."""

import random
from collections import Counter

import pytest
from classifier.configuration import Configuration
from classifier.policy import AuditDraw, Policy
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.policy.recorded import SURE, UNKNOWN, UNSURE, policy, seen

INTERVAL = 60.0


def audited(seed: int = 1, per_hour: int = 60) -> Policy:
    return policy(seed=seed, audit_frames_per_hour=per_hour)


def test_every_frame_of_an_interval_is_drawn_as_often_whatever_it_shows() -> None:
    """Chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand times, by a uniform draw."""
    subject, drawn, frames, intervals = audited(), Counter[int](), 20, 5000
    for interval in range(intervals):
        candidate = -1
        for number in range(frames):
            # The second half shows what the policy is most interested in.
            like = SURE if number < frames / 2 else UNSURE if number % 2 else UNKNOWN
            if subject.see(seen(INTERVAL * interval + number, like=like)).audit:
                candidate = number
        assert subject.tick(INTERVAL * (interval + 1)).audit_due == AuditDraw(of=frames)
        drawn[candidate] += 1
    expected = intervals / frames
    assert sum((drawn[number] - expected) ** 2 / expected for number in range(frames)) < 43.8


def test_accuracy_is_estimated_without_bias_where_mistakes_come_in_bursts() -> None:
    subject, chance = audited(), random.Random(2)  # not the seed of the draws
    right = shown = 0
    estimate = weight = 0.0
    for interval in range(4000):
        storm = interval % 4 == 0
        frames, candidate = (50 if storm else 5), False
        for number in range(frames):
            correct = chance.random() < (0.3 if storm else 0.95)
            right, shown = right + correct, shown + 1
            if subject.see(seen(INTERVAL * interval + number, like=UNSURE if storm else SURE)).audit:
                candidate = correct
        draw = subject.tick(INTERVAL * (interval + 1)).audit_due
        assert draw is not None
        estimate, weight = estimate + draw.of * candidate, weight + draw.of
    assert weight == shown
    assert estimate / weight == pytest.approx(right / shown, abs=0.03)


@given(st.lists(st.floats(0, 40), min_size=1, max_size=100), st.sets(st.integers(0, 99)), st.integers())
def test_no_frame_is_of_two_intervals_and_none_is_lost(pauses: list[float], ticks: set[int], seed: int) -> None:
    subject, at, of, candidates = audited(seed=seed), 0.0, 0, 0
    for number, pause in enumerate(pauses):
        at += pause
        candidates += subject.see(seen(at)).audit
        if number in ticks and (draw := subject.tick(at).audit_due):
            assert candidates >= 1
            of, candidates = of + draw.of, 0
    last = subject.finish(at).audit_due
    assert of + (last.of if last else 0) == len(pauses)


def test_at_most_so_many_frames_an_hour_are_drawn() -> None:
    subject = audited(per_hour=4)
    draws = 0
    for second in range(8 * 3600):
        subject.see(seen(float(second)))
        draws += subject.tick(float(second)).audit_due is not None
    assert draws == 8 * 4 - 1  # the last interval ends with the next second


def test_an_interval_without_frames_has_no_draw() -> None:
    subject = audited()
    subject.see(seen(0.0))
    assert subject.tick(60.0).audit_due == AuditDraw(of=1)
    assert subject.tick(120.0).audit_due is None
    assert subject.finish(130.0).audit_due is None


def test_an_audit_that_is_switched_off_draws_nothing_and_begins_anew_when_switched_on() -> None:
    subject = audited()
    subject.see(seen(0.0))
    subject.configure(Configuration(audit_frames_per_hour=0, summary_seconds=1e9))
    assert not any(subject.see(seen(1.0 + n)).audit for n in range(100))
    assert subject.tick(101.0).audit_due is None
    subject.configure(Configuration(audit_frames_per_hour=60))
    assert subject.see(seen(110.0)).audit
    assert subject.tick(150.0).audit_due is None
    assert subject.tick(161.0).audit_due == AuditDraw(of=1)


def test_the_same_seed_draws_the_same_frames_whatever_they_show() -> None:
    def draws(seed: int, label: str) -> list[bool]:
        subject = audited(seed=seed)
        return [subject.see(seen(0.1 * n, label)).audit for n in range(500)]

    assert draws(1, "crab") == draws(1, "squid")
    assert draws(1, "crab") != draws(2, "crab")
