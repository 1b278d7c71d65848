"""Pauses after failures, and how long an answer is waited for."""

import random

import pytest
from classifier.uplink.backoff import FIRST_SECONDS, LONGEST_SECONDS, SHORTEST_SECONDS, Backoff, RoundTrip


def test_pauses_double_up_to_the_last_and_each_is_drawn_from_its_upper_half() -> None:
    backoff = Backoff(1.0, 8.0, source=random.Random(1))
    for longest in (1.0, 2.0, 4.0, 8.0, 8.0, 8.0):
        assert longest / 2 <= backoff.failed(0.0) <= longest


def test_two_devices_do_not_come_back_in_step() -> None:
    one, other = Backoff(1.0, 300.0), Backoff(1.0, 300.0)
    assert [one.failed(0.0) for _ in range(8)] != [other.failed(0.0) for _ in range(8)]


def test_a_pause_passes_and_success_ends_it_at_once() -> None:
    backoff = Backoff(10.0, 100.0, source=random.Random(1))
    pause = backoff.failed(50.0)
    assert backoff.wait(50.0) == pytest.approx(pause)
    assert backoff.wait(50.0 + pause) == 0.0
    backoff.failed(60.0)
    backoff.succeeded()
    assert backoff.wait(60.0) == 0.0
    assert backoff.failed(70.0) <= 10.0


def test_a_pause_that_is_skipped_does_not_shorten_the_next() -> None:
    backoff = Backoff(10.0, 100.0)
    backoff.failed(0.0)
    backoff.skip()
    assert backoff.wait(0.0) == 0.0
    assert backoff.failed(0.0) >= 10.0


def test_an_answer_is_waited_for_as_long_as_the_link_takes_and_a_margin() -> None:
    trip = RoundTrip()
    assert trip.timeout == FIRST_SECONDS
    for _ in range(30):
        trip.measured(30.0)
    assert 30.0 < trip.timeout < 35.0
    for _ in range(60):
        trip.measured(0.2)
    assert trip.timeout == SHORTEST_SECONDS


def test_an_unsteady_link_gets_a_wider_margin_and_none_an_endless_one() -> None:
    steady, unsteady = RoundTrip(), RoundTrip()
    for number in range(20):
        steady.measured(10.0)
        unsteady.measured(5.0 if number % 2 else 15.0)
    assert unsteady.timeout > steady.timeout + 10.0
    unsteady.measured(100_000.0)
    assert unsteady.timeout == LONGEST_SECONDS
