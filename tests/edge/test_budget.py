"""Never more than the budget in any 60 minutes and in any 24 hours of the device's own time, whatever happens to it."""

import math
from typing import Any

import pytest
from classifier.budget import SHARES
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.book import DAY, HOUR, MINUTE, Spender


@pytest.fixture
def spender() -> Spender:
    return Spender()


def test_an_hours_budget_may_be_spent_at_once_and_no_more(spender: Spender) -> None:
    assert spender.budget.spend("alert", 1000)
    assert not spender.budget.spend("alert", 1)
    assert spender.budget.used() == (1000, 1000)


@pytest.mark.parametrize("priority", SHARES)
def test_what_matters_less_may_use_less(spender: Spender, priority: str) -> None:
    share = int(1000 * SHARES[priority])
    assert not spender.budget.spend(priority, share + 1)
    assert spender.budget.spend(priority, share)
    assert not spender.budget.spend(priority, 1)
    assert spender.budget.most(priority) == share


def test_frames_leave_room_for_summaries_and_these_for_health_and_that_for_alerts(spender: Spender) -> None:
    for priority, size in (("frame", 600), ("summary", 200), ("health", 100), ("alert", 100)):
        assert spender.budget.spend(priority, size)
        assert not spender.budget.spend(priority, 1)


def test_the_day_has_a_budget_of_its_own(spender: Spender) -> None:
    for _ in range(5):
        assert spender.budget.spend("alert", 1000)
        spender.clock.advance(61 * MINUTE)
    assert not spender.budget.spend("alert", 1)
    wait = spender.budget.wait("alert", 1)
    assert DAY - 6 * HOUR < wait <= DAY
    spender.clock.advance(wait - 1)
    assert not spender.budget.spend("alert", 1)
    spender.clock.advance(1)
    assert spender.budget.spend("alert", 1000)


def test_the_wait_is_until_it_may_leave(spender: Spender) -> None:
    spender.budget.spend("alert", 400)
    spender.clock.advance(10 * MINUTE)
    spender.budget.spend("alert", 600)
    assert spender.budget.wait("alert", 0) == 0
    wait = spender.budget.wait("alert", 400)
    assert 50 * MINUTE <= wait <= 52 * MINUTE
    assert spender.budget.wait("alert", 401) == wait + 10 * MINUTE
    spender.clock.advance(wait - 0.5)
    assert not spender.budget.spend("alert", 400)
    spender.clock.advance(0.5)
    assert spender.budget.spend("alert", 400)


def test_what_can_never_leave_waits_for_ever(spender: Spender) -> None:
    assert spender.budget.wait("frame", 601) == math.inf
    assert spender.budget.wait("frame", 600) == 0
    assert Spender(per_hour=9000).budget.wait("alert", 5001) == math.inf


def test_a_start_knows_what_was_spent_before(spender: Spender) -> None:
    spender.budget.spend("alert", 700)
    spender.clock.advance(30 * MINUTE)
    assert not spender.start().spend("alert", 301)
    assert spender.budget.spend("alert", 300)
    spender.clock.advance(31 * MINUTE)
    assert spender.start().spend("alert", 700)


def test_to_be_off_earns_nothing(spender: Spender) -> None:
    spender.budget.spend("alert", 1000)
    for _ in range(5):
        spender.clock.set_wall(spender.clock.wall() + DAY)
        spender.reboot()
    assert not spender.budget.spend("alert", 1)


def test_a_spender_that_is_on_for_minutes_only_is_not_silent_for_ever(spender: Spender) -> None:
    spender.budget.spend("alert", 1000)
    for _ in range(12):
        spender.reboot()
        for _ in range(5):
            spender.clock.advance(MINUTE)
            assert not spender.budget.spend("alert", 1000)
    spender.reboot()
    assert spender.budget.wait("alert", 1000) <= MINUTE


def test_the_wall_clock_is_of_no_account(spender: Spender) -> None:
    spender.budget.spend("alert", 1000)
    for year in (-365, 365, 36_500):
        spender.clock.set_wall(spender.clock.wall() + year * DAY)
        assert not spender.start().spend("alert", 1)


def test_time_is_written_once_a_minute_and_no_more(spender: Spender) -> None:
    spender.budget.spend("alert", 1000)
    before = spender.book.writes
    for _ in range(100):
        spender.budget.spend("alert", 1000)
        spender.budget.wait("alert", 1000)
        spender.clock.advance(1)
    assert spender.book.writes - before <= 2


def test_another_budget_holds_for_the_hour_that_has_begun(spender: Spender) -> None:
    spender.budget.spend("alert", 500)
    spender.budget.configure(per_hour=400, per_day=5000)
    assert not spender.budget.spend("alert", 1)
    spender.budget.configure(per_hour=2000, per_day=5000)
    assert spender.budget.spend("alert", 1500)
    assert not spender.budget.spend("alert", 1)


def test_what_certainly_did_not_leave_is_given_back(spender: Spender) -> None:
    spender.budget.spend("alert", 900)
    spender.budget.spend("frame", 0)
    spender.budget.refund(900)
    assert spender.budget.spend("alert", 1000)
    assert not spender.budget.spend("alert", 1)
    spender.budget.refund(999)  # nothing of that size was booked
    assert not spender.budget.spend("alert", 1)


def test_what_is_long_past_is_forgotten(spender: Spender) -> None:
    for _ in range(3000):
        spender.clock.advance(MINUTE)
        spender.budget.spend("alert", 1)
    assert len(spender.book.cells) <= 24 * 60 + 1


# --- whatever happens -------------------------------------------------------------------------------------------------

_STEPS = st.one_of(
    st.tuples(st.just("spend"), st.sampled_from(list(SHARES)), st.integers(0, 1100)),
    st.tuples(st.just("pass"), st.one_of(st.floats(0, 200), st.floats(0, 8000), st.floats(0, 100_000))),
    st.tuples(st.just("kill")),
    st.tuples(st.just("reboot"), st.floats(0, 100_000)),
    st.tuples(st.just("set clock"), st.floats(-(10**9), 10**9)),
    st.tuples(st.just("configure"), st.integers(100, 3000), st.integers(100, 20_000)),
    st.tuples(st.just("move")),
)


@given(steps=st.lists(_STEPS, max_size=60))
@settings(max_examples=200)
def test_no_window_ever_holds_more_than_was_allowed_at_its_end(steps: list[Any]) -> None:
    spender, on, spent = Spender(), 0.0, list[tuple[float, int]]()
    for step in steps:
        match step:
            case ("spend", priority, size):
                wait = spender.budget.wait(priority, size)
                left = spender.budget.spend(priority, size)
                assert left == (wait == 0)
                if left:
                    spent.append((on, size))
                    for window, limit in ((HOUR, spender.per_hour), (DAY, spender.per_day)):
                        in_window = sum(each for then, each in spent if then > on - window)
                        assert in_window <= limit * SHARES[priority]
            case ("pass", seconds):
                on += seconds
                spender.clock.advance(seconds)
            case ("kill",):
                spender.start()
            case ("reboot", off):
                spender.clock.set_wall(spender.clock.wall() + off)
                spender.reboot()
            case ("set clock", seconds):
                spender.clock.set_wall(spender.clock.wall() + seconds)
            case ("configure", per_hour, per_day):
                spender.per_hour, spender.per_day = per_hour, per_day
                spender.budget.configure(per_hour=per_hour, per_day=per_day)
            case ("move",):
                spender.book.__init__(identity=f"{spender.book.identity}+", lost=True)  # type: ignore[misc]
                spender.budget.follow()


@given(steps=st.lists(st.tuples(st.sampled_from(list(SHARES)), st.integers(1, 1100), st.floats(0, 3000)), max_size=40))
@settings(max_examples=100)
def test_after_the_wait_it_may_leave(steps: list[tuple[str, int, float]]) -> None:
    spender = Spender()
    for priority, size, seconds in steps:
        wait = spender.budget.wait(priority, size)
        if wait == math.inf:
            assert size > spender.budget.most(priority)
            continue
        spender.clock.advance(wait + 1e-6)
        assert spender.budget.spend(priority, size)
        spender.clock.advance(seconds)
