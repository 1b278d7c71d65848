"""Never more than the budget in any 60 minutes and in any 24 hours of the device's own time, whatever happens to it."""

import math
import sqlite3
from bisect import bisect
from pathlib import Path
from typing import Any

import pytest
from classifier import spool
from classifier.budget import SHARES, Budget
from classifier.clock import ManualClock
from classifier.spool import Ledger, Spool
from hypothesis import given, settings
from hypothesis import strategies as st

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Book:
    """What the budget needs of a spool: it keeps a ledger, and may be replaced by another at any moment."""

    def __init__(self, *, identity: str = "one", lost: bool = False) -> None:
        self.identity, self.lost = identity, lost
        self.kept: Ledger | None = None
        self.cells: dict[int, int] = {}
        self.writes = 0

    def ledger(self) -> Ledger | None:
        return self.kept and Ledger(self.kept.running, self.kept.boot, self.kept.elapsed, dict(self.cells))

    def keep(self, ledger: Ledger, *, oldest: int, identity: str) -> bool:
        if identity != self.identity:
            return False
        self.writes += 1
        self.kept = ledger
        self.cells = {cell: size for cell, size in self.cells.items() if cell >= oldest} | dict(ledger.cells)
        return True


class Device:
    """A budget that can be switched off and on."""

    def __init__(self, book: Any = None, *, per_hour: int = 1000, per_day: int = 5000) -> None:
        self.book, self.clock = Book() if book is None else book, ManualClock()
        self.per_hour, self.per_day = per_hour, per_day
        self.boots = 0
        self.start()

    def start(self) -> Budget:
        self.budget = Budget(self.book, self.clock, per_hour=self.per_hour, per_day=self.per_day)
        return self.budget

    def reboot(self) -> Budget:
        self.boots += 1
        self.clock.reboot(f"boot {self.boots}")
        return self.start()

    def left(self, priority: str = "alert") -> int:
        """The most that may be spent now."""
        return bisect(range(1, self.per_hour + 1), False, key=lambda size: self.budget.wait(priority, size) > 0)


@pytest.fixture
def device() -> Device:
    return Device()


def test_an_hours_budget_may_be_spent_at_once_and_no_more(device: Device) -> None:
    assert device.budget.spend("alert", 1000)
    assert not device.budget.spend("alert", 1)
    assert device.budget.used() == (1000, 1000)


@pytest.mark.parametrize("priority", SHARES)
def test_what_matters_less_may_use_less(device: Device, priority: str) -> None:
    share = int(1000 * SHARES[priority])
    assert not device.budget.spend(priority, share + 1)
    assert device.budget.spend(priority, share)
    assert not device.budget.spend(priority, 1)
    assert device.budget.most(priority) == share


def test_frames_leave_room_for_summaries_and_these_for_health_and_that_for_alerts(device: Device) -> None:
    for priority, size in (("frame", 600), ("summary", 200), ("health", 100), ("alert", 100)):
        assert device.budget.spend(priority, size)
        assert not device.budget.spend(priority, 1)


def test_the_day_has_a_budget_of_its_own(device: Device) -> None:
    for _ in range(5):
        assert device.budget.spend("alert", 1000)
        device.clock.advance(61 * MINUTE)
    assert not device.budget.spend("alert", 1)
    wait = device.budget.wait("alert", 1)
    assert DAY - 6 * HOUR < wait <= DAY
    device.clock.advance(wait - 1)
    assert not device.budget.spend("alert", 1)
    device.clock.advance(1)
    assert device.budget.spend("alert", 1000)


def test_the_wait_is_until_it_may_leave(device: Device) -> None:
    device.budget.spend("alert", 400)
    device.clock.advance(10 * MINUTE)
    device.budget.spend("alert", 600)
    assert device.budget.wait("alert", 0) == 0
    wait = device.budget.wait("alert", 400)
    assert 50 * MINUTE <= wait <= 52 * MINUTE
    assert device.budget.wait("alert", 401) == wait + 10 * MINUTE
    device.clock.advance(wait - 0.5)
    assert not device.budget.spend("alert", 400)
    device.clock.advance(0.5)
    assert device.budget.spend("alert", 400)


def test_what_can_never_leave_waits_for_ever(device: Device) -> None:
    assert device.budget.wait("frame", 601) == math.inf
    assert device.budget.wait("frame", 600) == 0
    assert Device(per_hour=9000).budget.wait("alert", 5001) == math.inf


def test_a_start_knows_what_was_spent_before(device: Device) -> None:
    device.budget.spend("alert", 700)
    device.clock.advance(30 * MINUTE)
    assert not device.start().spend("alert", 301)
    assert device.budget.spend("alert", 300)
    device.clock.advance(31 * MINUTE)
    assert device.start().spend("alert", 700)


def test_to_be_off_earns_nothing(device: Device) -> None:
    device.budget.spend("alert", 1000)
    for _ in range(5):
        device.clock.set_wall(device.clock.wall() + DAY)
        device.reboot()
    assert not device.budget.spend("alert", 1)


def test_a_device_that_is_on_for_minutes_only_is_not_silent_for_ever(device: Device) -> None:
    device.budget.spend("alert", 1000)
    for _ in range(12):
        device.reboot()
        for _ in range(5):
            device.clock.advance(MINUTE)
            assert not device.budget.spend("alert", 1000)
    device.reboot()
    assert device.budget.wait("alert", 1000) <= MINUTE


def test_the_wall_clock_is_of_no_account(device: Device) -> None:
    device.budget.spend("alert", 1000)
    for year in (-365, 365, 36_500):
        device.clock.set_wall(device.clock.wall() + year * DAY)
        assert not device.start().spend("alert", 1)


def test_time_is_written_once_a_minute_and_no_more(device: Device) -> None:
    device.budget.spend("alert", 1000)
    before = device.book.writes
    for _ in range(100):
        device.budget.spend("alert", 1000)
        device.budget.wait("alert", 1000)
        device.clock.advance(1)
    assert device.book.writes - before <= 2


def test_another_budget_holds_for_the_hour_that_has_begun(device: Device) -> None:
    device.budget.spend("alert", 500)
    device.budget.configure(per_hour=400, per_day=5000)
    assert not device.budget.spend("alert", 1)
    device.budget.configure(per_hour=2000, per_day=5000)
    assert device.budget.spend("alert", 1500)
    assert not device.budget.spend("alert", 1)


def test_what_certainly_did_not_leave_is_given_back(device: Device) -> None:
    device.budget.spend("alert", 900)
    device.budget.spend("frame", 0)
    device.budget.refund(900)
    assert device.budget.spend("alert", 1000)
    assert not device.budget.spend("alert", 1)
    device.budget.refund(999)  # nothing of that size was booked
    assert not device.budget.spend("alert", 1)


def test_what_is_long_past_is_forgotten(device: Device) -> None:
    for _ in range(3000):
        device.clock.advance(MINUTE)
        device.budget.spend("alert", 1)
    assert len(device.book.cells) <= 24 * 60 + 1


# --- where the ledger may be lost -------------------------------------------------------------------------------------


def test_where_a_ledger_was_lost_the_hour_counts_as_spent_at_an_even_rate() -> None:
    device = Device(Book(lost=True), per_hour=6100, per_day=61_000)
    assert not device.budget.spend("alert", 1)
    for minutes in range(1, 20):
        device.clock.advance(MINUTE)
        assert device.left() == 100 * minutes


def test_where_a_ledger_was_lost_no_row_of_starts_spends_more_than_the_rate() -> None:
    clock_minutes, spent = 0, 0
    for n in range(30):
        device = Device(Book(identity=f"{n}", lost=True), per_hour=6100, per_day=61_000)
        for _ in range(3):
            device.clock.advance(MINUTE)
            clock_minutes += 1
            left = device.left()
            spent += left
            assert device.budget.spend("alert", left)
    assert spent <= clock_minutes * 100


def test_where_a_ledger_was_lost_frames_may_leave_again_within_the_hour_and_the_day_holds() -> None:
    device = Device(Book(lost=True), per_hour=1000, per_day=10_000)
    device.clock.advance(HOUR)
    assert device.budget.spend("frame", 100)
    _, day = device.budget.used()
    assert 5_000 < day <= 6_000
    assert Device(Book(lost=True), per_hour=1000, per_day=300).budget.wait("alert", 10) <= 2 * MINUTE


def test_the_ledger_moves_with_the_spool_whatever_that_has_become(device: Device) -> None:
    device.budget.spend("alert", 400)
    device.book.__init__(identity="memory", lost=True)  # type: ignore[misc]
    assert device.budget.spend("alert", 500)
    assert not device.budget.spend("alert", 101)
    assert sum(device.book.cells.values()) == 900


def test_a_ledger_that_is_found_later_counts_too() -> None:
    """Begun in memory; the disk works again, and has what was spent before the start."""
    before = Device(per_hour=6100, per_day=61_000)
    before.clock.advance(40 * DAY)
    before.start()
    before.budget.spend("alert", 3000)
    memory = Book(identity="memory", lost=True)
    device = Device(memory, per_hour=6100, per_day=61_000)
    device.clock.advance(60 * MINUTE)
    assert device.budget.spend("alert", 500)
    memory.identity, memory.kept, memory.cells = before.book.identity, before.book.kept, dict(before.book.cells)
    device.clock.advance(MINUTE)
    assert device.budget.spend("alert", 1)
    assert device.budget.used()[0] == 3501
    assert device.start().used()[0] == 3501
    device.clock.advance(61 * MINUTE)
    assert device.budget.used()[0] == 0


# --- with the spool itself --------------------------------------------------------------------------------------------


def opened(folder: Path, clock: ManualClock) -> Spool:
    return spool.open(folder, clock=clock, boot=spool.new_boot(clock), max_bytes=2**20)


def test_the_spool_keeps_the_ledger(tmp_path: Path) -> None:
    clock = ManualClock()
    first = opened(tmp_path, clock)
    assert Budget(first, clock, per_hour=1000, per_day=5000).spend("alert", 700)
    first.close()
    clock.advance(10 * MINUTE)
    second = opened(tmp_path, clock)
    budget = Budget(second, clock, per_hour=1000, per_day=5000)
    assert budget.used() == (700, 700)
    assert not budget.spend("alert", 301)
    second.close()


def test_a_corrupt_spool_grants_no_fresh_budget(tmp_path: Path) -> None:
    clock = ManualClock()
    opened(tmp_path, clock).close()
    (tmp_path / "spool.db").write_text("damage")
    for _ in range(2):  # at once, and at the start after
        found = opened(tmp_path, clock)
        assert not Budget(found, clock, per_hour=1000, per_day=5000).spend("alert", 100)
        found.close()


def test_a_spool_that_is_in_memory_grants_no_fresh_budget(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    clock = ManualClock()
    found = opened(tmp_path / "file", clock)
    budget = Budget(found, clock, per_hour=1000, per_day=5000)
    assert not budget.spend("alert", 100)
    clock.advance(10 * MINUTE)
    assert budget.spend("alert", 100)


def test_a_disk_that_fails_takes_nothing_from_the_ledger(tmp_path: Path) -> None:
    clock = ManualClock()
    found = opened(tmp_path / "spool", clock)
    budget = Budget(found, clock, per_hour=1000, per_day=5000)
    assert budget.spend("alert", 400)
    store = found._place.store

    def fails(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    store.keep = fails  # type: ignore[method-assign]
    assert budget.spend("alert", 300)
    assert found.place == "memory"
    assert not budget.spend("alert", 301)
    clock.advance(MINUTE)
    found.add([])
    assert found.place == "disk"
    assert budget.spend("alert", 100)
    found.close()
    again = opened(tmp_path / "spool", clock)
    assert Budget(again, clock, per_hour=1000, per_day=5000).used() == (800, 800)
    again.close()


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
@settings(max_examples=200, deadline=None)
def test_no_window_ever_holds_more_than_was_allowed_at_its_end(steps: list[Any]) -> None:
    device, on, spent = Device(), 0.0, list[tuple[float, int]]()
    for step in steps:
        match step:
            case ("spend", priority, size):
                wait = device.budget.wait(priority, size)
                left = device.budget.spend(priority, size)
                assert left == (wait == 0)
                if left:
                    spent.append((on, size))
                    for window, limit in ((HOUR, device.per_hour), (DAY, device.per_day)):
                        in_window = sum(each for then, each in spent if then > on - window)
                        assert in_window <= limit * SHARES[priority]
            case ("pass", seconds):
                on += seconds
                device.clock.advance(seconds)
            case ("kill",):
                device.start()
            case ("reboot", off):
                device.clock.set_wall(device.clock.wall() + off)
                device.reboot()
            case ("set clock", seconds):
                device.clock.set_wall(device.clock.wall() + seconds)
            case ("configure", per_hour, per_day):
                device.per_hour, device.per_day = per_hour, per_day
                device.budget.configure(per_hour=per_hour, per_day=per_day)
            case ("move",):
                device.book.__init__(identity=f"{device.book.identity}+", lost=True)  # type: ignore[misc]
                device.budget.wait("alert", 0)
                device.budget.spend("alert", 0)


@given(steps=st.lists(st.tuples(st.sampled_from(list(SHARES)), st.integers(1, 1100), st.floats(0, 3000)), max_size=40))
@settings(max_examples=100, deadline=None)
def test_after_the_wait_it_may_leave(steps: list[tuple[str, int, float]]) -> None:
    device = Device()
    for priority, size, seconds in steps:
        wait = device.budget.wait(priority, size)
        if wait == math.inf:
            assert size > device.budget.most(priority)
            continue
        device.clock.advance(wait + 1e-6)
        assert device.budget.spend(priority, size)
        device.clock.advance(seconds)
