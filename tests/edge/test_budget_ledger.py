"""What the budget takes as spent where its ledger is lost, in memory, or found again later."""

import sqlite3
from pathlib import Path

import pytest
from classifier import spool
from classifier.budget import Budget
from classifier.clock import ManualClock
from classifier.spool import Spool

from tests.edge.book import DAY, HOUR, MINUTE, Book, Spender


@pytest.fixture
def spender() -> Spender:
    return Spender()


def test_where_a_ledger_was_lost_the_hour_counts_as_spent_at_an_even_rate() -> None:
    spender = Spender(Book(lost=True), per_hour=6100, per_day=61_000)
    assert not spender.budget.spend("alert", 1)
    for minutes in range(1, 20):
        spender.clock.advance(MINUTE)
        assert spender.left() == 100 * minutes


def test_where_a_ledger_was_lost_no_row_of_starts_spends_more_than_the_rate() -> None:
    clock_minutes, spent = 0, 0
    for n in range(30):
        spender = Spender(Book(identity=f"{n}", lost=True), per_hour=6100, per_day=61_000)
        for _ in range(3):
            spender.clock.advance(MINUTE)
            clock_minutes += 1
            left = spender.left()
            spent += left
            assert spender.budget.spend("alert", left)
    assert spent <= clock_minutes * 100


def test_where_a_ledger_was_lost_frames_may_leave_again_within_the_hour_and_the_day_holds() -> None:
    spender = Spender(Book(lost=True), per_hour=1000, per_day=10_000)
    spender.clock.advance(HOUR)
    assert spender.budget.spend("frame", 100)
    _, day = spender.budget.used()
    assert 5_000 < day <= 6_000
    assert Spender(Book(lost=True), per_hour=1000, per_day=300).budget.wait("alert", 10) <= 2 * MINUTE


def test_the_ledger_moves_with_the_spool_whatever_that_has_become(spender: Spender) -> None:
    spender.budget.spend("alert", 400)
    spender.book.__init__(identity="memory", lost=True)  # type: ignore[misc]
    assert spender.budget.spend("alert", 500)
    assert not spender.budget.spend("alert", 101)
    assert sum(spender.book.cells.values()) == 900


def test_a_ledger_that_is_found_later_counts_too() -> None:
    """Begun in memory; the disk works again, and has what was spent before the start."""
    before = Spender(per_hour=6100, per_day=61_000)
    before.clock.advance(40 * DAY)
    before.start()
    before.budget.spend("alert", 3000)
    memory = Book(identity="memory", lost=True)
    spender = Spender(memory, per_hour=6100, per_day=61_000)
    spender.clock.advance(60 * MINUTE)
    assert spender.budget.spend("alert", 500)
    memory.identity, memory.kept, memory.cells = before.book.identity, before.book.kept, dict(before.book.cells)
    spender.clock.advance(MINUTE)
    assert spender.budget.spend("alert", 1)
    assert spender.budget.used()[0] == 3501
    assert spender.start().used()[0] == 3501
    spender.clock.advance(61 * MINUTE)
    assert spender.budget.used()[0] == 0


def test_what_was_spent_from_memory_is_in_the_file_once_the_disk_works_again_though_nothing_more_is_spent() -> None:
    clock, disk = ManualClock(), Book()
    Budget(disk, clock, per_hour=1000, per_day=5000)
    memory = Book(identity="memory", lost=True)
    budget = Budget(memory, clock, per_hour=1000, per_day=5000)
    clock.advance(HOUR)
    assert budget.spend("alert", 400)
    memory.identity, memory.kept, memory.cells = disk.identity, disk.kept, dict(disk.cells)
    budget.follow()
    assert Budget(memory, clock, per_hour=1000, per_day=5000).used() == budget.used()


def test_starts_in_memory_that_go_back_to_the_disk_take_the_same_day_as_spent_once() -> None:
    """Each finds the file locked by the process before, and has it a minute later."""
    clock, disk = ManualClock(), Book(lost=True)
    Budget(disk, clock, per_hour=6100, per_day=61_000)
    for _ in range(5):
        memory = Book(identity="memory", lost=True)
        budget = Budget(memory, clock, per_hour=6100, per_day=61_000)
        clock.advance(2 * MINUTE)
        memory.identity, memory.kept, memory.cells = disk.identity, disk.kept, dict(disk.cells)
        assert budget.spend("alert", 100)
        disk.kept, disk.cells = memory.kept, dict(memory.cells)
    assert budget.used()[1] <= 0.6 * 61_000 + 5 * 100 + 5 * 2 * 100


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
