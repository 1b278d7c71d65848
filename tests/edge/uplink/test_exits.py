"""The ration of restarts: a nucleus that comes and goes must not make the component BROKEN."""

import json
from pathlib import Path

import pytest
from classifier.clock import ManualClock
from classifier.uplink.exits import HOUR_SECONDS, Exits


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(100_000.0)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exits.json"


def test_a_component_may_end_itself_once_and_then_not_for_an_hour(path: Path, clock: ManualClock) -> None:
    assert Exits(path, clock).wait() == 0.0
    clock.advance(60.0)
    second = Exits(path, clock)
    assert second.wait() == HOUR_SECONDS - 60.0
    clock.advance(HOUR_SECONDS - 60.0)
    assert second.wait() == 0.0


def test_in_no_hour_does_it_start_more_often_than_lite_allows(path: Path, clock: ManualClock) -> None:
    starts = []
    for _ in range(20):
        exits = Exits(path, clock)
        starts.append(clock.elapsed())
        clock.advance(exits.wait() + 0.5)
    for first in starts:
        assert len([start for start in starts if first <= start < first + HOUR_SECONDS]) <= 2


def test_starts_after_crashes_count_too(path: Path, clock: ManualClock) -> None:
    Exits(path, clock)
    clock.advance(10.0)
    Exits(path, clock)
    clock.advance(10.0)
    assert Exits(path, clock).wait() == HOUR_SECONDS - 10.0


def test_the_wall_clock_may_jump(path: Path, clock: ManualClock) -> None:
    Exits(path, clock)
    clock.set_wall(clock.wall() - 365 * 86_400)
    clock.advance(60.0)
    assert Exits(path, clock).wait() == HOUR_SECONDS - 60.0


def test_a_start_of_the_operating_system_begins_anew(path: Path, clock: ManualClock) -> None:
    Exits(path, clock)
    Exits(path, clock)
    clock.reboot("another")
    clock.advance(200_000.0)
    assert Exits(path, clock).wait() == 0.0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"[" * 100_000,
        b'{"boot": "manual"}',
        b'{"boot": "manual", "starts": 5}',
        b'{"boot": "manual", "starts": [null, "x", true, 1e999, -1e999, NaN, 99999999]}',
    ],
)
def test_garbage_in_its_file_counts_for_nothing(path: Path, clock: ManualClock, content: bytes) -> None:
    path.write_bytes(content)
    assert Exits(path, clock).wait() == 0.0
    assert json.loads(path.read_text()) == {"boot": "manual", "starts": [100_000.0]}


def test_where_nothing_can_be_written_an_hour_is_waited_for(tmp_path: Path, clock: ManualClock) -> None:
    exits = Exits(tmp_path / "no folder" / "exits.json", clock)
    clock.advance(600.0)
    assert exits.wait() == HOUR_SECONDS - 600.0
    clock.advance(HOUR_SECONDS)
    assert exits.wait() == 0.0


def test_a_power_cut_while_it_writes_leaves_what_was_there(path: Path, clock: ManualClock) -> None:
    Exits(path, clock)
    path.with_name("exits.json.new").write_text('{"boot": "man')
    clock.advance(60.0)
    assert Exits(path, clock).wait() == HOUR_SECONDS - 60.0
