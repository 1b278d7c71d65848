"""The spool never takes more bytes than it may, and loses what is worth least first."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from tests.edge.any_message import alerts, message, upload
from tests.edge.spool.conftest import MIB, Device


def fill(device: Device, kind: str) -> None:
    """Until the first is lost."""
    before = device.spool.evicted[kind]
    while device.spool.evicted[kind] == before:
        device.spool.add([message(kind, seed) for seed in range(100)])


def test_of_frames_the_one_of_the_lowest_value_goes_first(device: Device) -> None:
    device.spool.add([upload("keep", value=0.9, size=50_000), upload("lose", value=0.1, size=50_000)])
    for n in range(30):
        device.spool.add([upload(f"{n:02}", value=0.5, size=40_000)])
    kept = device.uploads()
    assert "keep" in kept
    assert "lose" not in kept
    # Of the same value, the latest are there.
    assert kept[1:] == [f"{n:02}" for n in range(30)][-len(kept[1:]) :]
    assert device.spool.evicted["frame"] == 32 - len(kept)


def test_a_frame_of_less_value_than_all_others_takes_no_place(device: Device) -> None:
    device.spool.add([upload(f"{n}", value=0.5, size=40_000) for n in range(30)])
    before = device.uploads()
    device.spool.add([upload("late", value=0.1, size=40_000)])
    assert device.uploads() == before


def test_frames_go_before_any_message(device: Device) -> None:
    device.spool.add([upload("a", size=50_000, value=1e9)])
    fill(device, "summary")
    assert device.uploads() == []
    assert device.spool.evicted["frame"] == 1


def test_summaries_go_before_health_and_that_before_alerts(device: Device) -> None:
    device.spool.add([*alerts(100), *[message("health") for _ in range(100)]])
    fill(device, "summary")
    assert device.spool.evicted == {"alert": 0, "health": 0, "summary": device.spool.evicted["summary"], "frame": 0}
    fill(device, "health")
    assert device.spool.evicted["alert"] == 0
    assert [stream.kind for stream in device.spool.streams()] == ["alert", "health"]
    fill(device, "alert")
    assert [stream.kind for stream in device.spool.streams()] == ["alert"]


def test_only_the_old_end_of_a_stream_goes_and_the_base_says_so(device: Device) -> None:
    fill(device, "alert")
    numbers = device.numbers("alert")
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] == device.spool.evicted["alert"] + 1 == device.spool.base(device.stream("alert"))


def test_the_oldest_start_goes_first(device: Device) -> None:
    device.spool.add(alerts(10))
    first = device.boot
    device.restart()
    fill(device, "alert")
    assert device.stream("alert").boot == device.boot != first


def test_what_was_lost_stays_counted(device: Device) -> None:
    fill(device, "summary")
    lost = device.spool.evicted
    assert device.restart().evicted == lost


@pytest.mark.parametrize("mib", [1, 4])
def test_the_files_never_exceed_the_bound(tmp_path: Path, mib: int) -> None:
    device, draw, largest = Device(tmp_path / "spool", max_bytes=mib * MIB), random.Random(mib), 0
    for n in range(60):
        frames = [upload(f"{n}-{i}", size=draw.randrange(1, mib * MIB // 20), value=draw.random()) for i in range(3)]
        kind = draw.choice(["alert", "health", "summary"])
        device.spool.add([*frames[: draw.randrange(4)], *[message(kind, n) for _ in range(draw.randrange(1, 60))]])
        if draw.random() < 0.2:
            stream = draw.choice(device.spool.streams())
            device.acknowledge(stream.kind, device.spool.base(stream) + draw.randrange(100))
        largest = max(largest, device.size)
    assert device.spool.evicted["frame"] > 5
    assert mib * MIB * 0.7 < largest <= mib * MIB
    device.close()


def test_a_batch_that_is_larger_than_a_transaction_is_taken_in_parts(device: Device) -> None:
    device.spool.add(alerts(2000))
    assert device.alerts() == list(range(2000))
    assert device.size <= MIB


def test_a_smaller_bound_holds_at_once(tmp_path: Path) -> None:
    device = Device(tmp_path / "spool", max_bytes=4 * MIB)
    device.spool.add([*alerts(50), *[upload(f"{n}", size=100_000) for n in range(25)]])
    assert device.size > 2 * MIB
    device.spool.resize(MIB)
    assert device.size <= MIB
    assert device.alerts() == list(range(50))
    assert 0 < len(device.uploads()) < 10
    device.spool.add([upload("late", size=50_000)])
    assert device.uploads()[-1] == "late"
    device.close()


def test_a_smaller_bound_holds_from_the_next_start(tmp_path: Path) -> None:
    device = Device(tmp_path / "spool", max_bytes=4 * MIB)
    device.spool.add([*alerts(50), *[upload(f"{n}", size=100_000) for n in range(25)]])
    device.max_bytes = MIB
    device.restart()
    assert device.size <= MIB
    assert device.alerts() == list(range(50))
    device.close()


def test_a_larger_bound_holds_more(device: Device) -> None:
    device.spool.resize(4 * MIB)
    device.spool.add([upload(f"{n}", size=100_000) for n in range(25)])
    assert len(device.uploads()) == 25


def test_starts_that_are_done_are_forgotten(device: Device) -> None:
    for _ in range(5):
        device.spool.add(alerts(1))
        device.acknowledge("alert", 1)
        device.restart()
    assert device.spool._place.store.boots() == []


def test_room_that_was_taken_is_used_again(device: Device) -> None:
    sizes = []
    for n in range(40):
        device.spool.add([upload(f"{n}", size=60_000)])
        found = device.spool.next_upload()
        assert found is not None
        device.spool.uploaded(found.id)
        sizes.append(device.file.stat().st_size)
    assert all(later <= 2 * 65_536 + 150_000 for _, later in pairwise(sizes))
    assert device.spool.evicted["frame"] == 0
