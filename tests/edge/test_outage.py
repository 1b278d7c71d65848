"""Days without a link, in simulated time and with default settings: nothing that matters is lost, and all of it leaves
in order and within the byte budget once there is a link. And what else can befall a device on such a day."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from classifier.configuration import Configuration

from tests.edge.reef import DAY, HOUR, Disk, Left, Reef, failing, watching

YEAR = 365 * DAY
MIB = 1024 * 1024
KINDS = ("alert", "health", "summary")


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    with failing(disk):
        yield disk


@pytest.fixture
def reef(tmp_path: Path, disk: Disk) -> Iterator[Reef]:
    with watching(tmp_path) as reef:
        yield reef


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reef]:
    """A day without a link, and a day with one."""
    with watching(tmp_path_factory.mktemp("outage")) as reef:
        reef.watch(hours=24)
        assert reef.link.left == []
        depth = reef.spool.depth()
        assert depth.records > reef.animals // 3 + 24 * 4
        assert depth.frames > 60
        assert depth.bytes < Configuration().spool_mib * MIB
        reef.link.up = True
        reef.rest(hours=24)
        yield reef


def test_a_day_without_a_link_costs_no_alert_no_summary_and_no_health(outage: Reef) -> None:
    assert len(outage.of("alert")) == outage.animals // 3
    assert outage.counted() == dict.fromkeys(("red", "green", "blue"), outage.animals // 3)
    assert sum(outage.health["evicted"].values()) == 0
    for kind in KINDS:
        numbers = sorted(seq for _, each, seq in outage.simulation.cloud.records if each == kind)
        assert numbers == list(range(1, len(numbers) + 1)), kind


def test_what_waited_leaves_by_priority_and_then_in_its_own_order(outage: Reef) -> None:
    first, last = ({kind: at(outage.link.left, kind) for kind in KINDS} for at in (first_of, last_waiting_of))
    assert last["alert"] < first["health"] < first["summary"]
    for kind in KINDS:
        numbers = [number for each in outage.link.left if each.kind == kind for number in each.numbers]
        assert numbers == sorted(set(numbers)), kind


def first_of(left: list[Left], kind: str) -> int:
    return next(index for index, each in enumerate(left) if each.kind == kind)


def last_waiting_of(left: list[Left], kind: str) -> int:
    """The last of those that waited when the link came."""
    return max(index for index, each in enumerate(left) if each.kind == kind and each.at < DAY + 120)


def test_what_waited_leaves_within_the_budget_however_much_it_is(outage: Reef) -> None:
    default, sizes = Configuration(), [each.bytes for each in outage.link.left]
    assert sum(sizes) > 2 * default.bytes_per_hour
    assert 0.5 * default.bytes_per_hour < outage.link.most_within(HOUR) <= default.bytes_per_hour
    assert outage.link.most_within(DAY) <= default.bytes_per_day
    assert outage.spool.depth().frames == 0
    assert len(outage.simulation.cloud.uploads) == len([each for each in outage.link.left if each.kind == "frame"])


def test_a_link_that_comes_for_minutes_is_enough_for_alerts(reef: Reef) -> None:
    for _ in range(3):
        reef.watch(hours=4)
        reef.link.up = True
        reef.rest(hours=0.1)
        reef.link.up = False
    assert len(reef.of("alert")) == reef.animals // 3


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR])
def test_a_disk_that_takes_nothing_any_more_costs_no_alert(reef: Reef, disk: Disk, code: int) -> None:
    reef.watch(hours=3)
    disk.code = code
    reef.watch(hours=3)
    reef.link.up = True
    reef.rest(hours=1)
    told = reef.health["spool"]
    assert told["place"] == "memory"
    assert "the disk does not take it" in told["reason"]
    assert reef.simulation.parts.models.serving is not None
    disk.code = None
    reef.rest(hours=1)

    assert reef.health["spool"]["place"] == "disk"
    assert len(reef.of("alert")) == reef.animals // 3


def test_a_clock_set_back_a_year_changes_no_order_and_no_budget(reef: Reef) -> None:
    reef.watch(hours=3)
    reef.clock.set_wall(reef.clock.wall() - YEAR)
    reef.watch(hours=3)
    reef.link.up = True
    reef.rest(hours=12)

    alerts = [record for (_, kind, _), record in sorted(reef.simulation.cloud.records.items()) if kind == "alert"]
    times = [record.at for record in alerts]
    assert len(times) == reef.animals // 3
    assert times == sorted(set(times))
    assert reef.counted() == dict.fromkeys(("red", "green", "blue"), reef.animals // 3)
    assert reef.health["clock_jumps"] == 1
    assert reef.link.most_within(HOUR) <= Configuration().bytes_per_hour


def test_a_spool_that_is_damaged_while_the_device_is_off_is_set_aside_and_the_device_goes_on(reef: Reef) -> None:
    reef.watch(hours=3)
    reef.stop()
    file = reef.work / "spool" / "spool.db"
    file.write_bytes(b"\xde\xad\xbe\xef" * (file.stat().st_size // 4))
    before = reef.animals
    reef.start(at=reef.clock.elapsed())
    reef.watch(hours=3)
    reef.link.up = True
    reef.rest(hours=1)

    (aside,) = file.parent.glob("spool.corrupt-*")
    assert aside.name in reef.health["spool"]["reason"]
    assert len(reef.of("alert")) == (reef.animals - before) // 3
    assert reef.simulation.parts.models.serving is not None
