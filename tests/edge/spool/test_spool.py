"""What comes in goes out in order, numbered densely, and leaves by an acknowledgement alone."""

import math
import threading
from typing import Any

import pytest
from classifier.messages import Ack
from classifier.spool import Depth, Entry, Message, Stream, Upload, new_boot
from classifier.spool.store import STREAMS
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.any_message import alerts, any_alert, any_summary, message, upload
from tests.edge.spool.conftest import MIB, Device


def test_a_new_spool_is_empty_and_on_the_disk(device: Device) -> None:
    assert device.spool.depth() == Depth(0, 0, device.spool.depth().bytes)
    assert (device.spool.place, device.spool.trouble) == ("disk", "")
    assert device.spool.evicted == {"alert": 0, "health": 0, "summary": 0, "frame": 0}
    assert device.spool.next_upload() is None


def test_messages_come_out_as_they_went_in(device: Device) -> None:
    device.spool.add(alerts(3))
    (stream,) = device.spool.streams()
    assert stream == Stream(device.boot, "alert")
    records = device.spool.records(stream)
    assert [record.seq for record in records] == [1, 2, 3]
    assert [record.body for record in records] == [any_alert(frames=n) for n in range(3)]


def test_alerts_come_before_health_and_that_before_summaries_and_of_each_the_oldest_start_first(device: Device) -> None:
    for _ in range(3):
        device.spool.add([message("summary"), message("alert"), message("health")])
        device.clock.set_wall(device.clock.wall() - 1000)  # the name of a start does not tell which was first
        device.restart()
    kinds = [stream.kind for stream in device.spool.streams()]
    assert kinds == ["alert"] * 3 + ["health"] * 3 + ["summary"] * 3
    boots = [stream.boot for stream in device.spool.streams()]
    assert boots[:3] == sorted(boots[:3], reverse=True)
    assert boots[:3] == boots[3:6] == boots[6:]


def test_of_thousands_of_starts_the_oldest_and_the_newest_are_told_until_all_are_gone(device: Device) -> None:
    boots = [device.boot]
    for _ in range(2 * STREAMS):
        device.spool.add([message("summary"), message("alert")])
        device.restart()
        boots.append(device.boot)
    device.spool.add([message("alert")])
    told, gone = device.spool.streams(), list[Stream]()
    assert [each.boot for each in told if each.kind == "alert"] == [*boots[:STREAMS], device.boot]
    assert [each.boot for each in told if each.kind == "summary"] == [*boots[:STREAMS], boots[-2]]
    while waiting := device.spool.streams():
        gone.append(waiting[0])
        device.spool.acknowledge(Ack(waiting[0].boot, waiting[0].kind, 1))
    assert [each.boot for each in gone] == boots + boots[:-1]


def test_records_are_read_from_a_number_on(device: Device) -> None:
    device.spool.add(alerts(10))
    stream = device.stream("alert")
    assert [record.seq for record in device.spool.records(stream, after=4, limit=3)] == [5, 6, 7]
    assert device.spool.records(stream, after=10) == []


def test_every_start_numbers_from_one(device: Device) -> None:
    device.spool.add(alerts(2))
    first = device.boot
    device.restart()
    device.spool.add(alerts(3))
    numbers = {
        stream.boot: [record.seq for record in device.spool.records(stream)] for stream in device.spool.streams()
    }
    assert numbers == {first: [1, 2], device.boot: [1, 2, 3]}


def test_only_an_acknowledgement_takes_messages_away(device: Device) -> None:
    device.spool.add(alerts(5))
    device.spool.records(device.stream("alert"))
    assert device.acknowledge("alert", 3) == 3
    assert device.numbers("alert") == [4, 5]
    assert device.acknowledge("alert", 3) == 0
    device.restart()
    assert device.numbers("alert") == [4, 5]


def test_an_acknowledgement_of_another_stream_takes_nothing(device: Device) -> None:
    device.spool.add(alerts(5))
    assert device.spool.acknowledge(Ack(device.boot, "summary", 5)) == 0
    assert device.spool.acknowledge(Ack(new_boot(device.clock), "alert", 5)) == 0
    assert device.numbers("alert") == [1, 2, 3, 4, 5]


def test_numbers_go_on_when_all_is_acknowledged(device: Device) -> None:
    device.spool.add(alerts(2))
    stream = device.stream("alert")
    device.acknowledge("alert", 2)
    assert device.spool.streams() == []
    assert device.spool.base(stream) == 3
    device.spool.add(alerts(1))
    assert device.numbers("alert") == [3]


def test_the_base_is_the_lowest_number_that_may_still_come(device: Device) -> None:
    stream = Stream(device.boot, "alert")
    assert device.spool.base(stream) == 1
    device.spool.add(alerts(5))
    assert device.spool.base(stream) == 1
    device.acknowledge("alert", 2)
    assert device.spool.base(stream) == 3
    assert device.spool.base(Stream(new_boot(device.clock), "alert")) == 1


def test_times_never_go_back(device: Device) -> None:
    device.spool.add(alerts(2))
    device.clock.set_wall(device.clock.wall() - 365 * 86_400)
    device.spool.add(alerts(2))
    device.restart()
    device.spool.add(alerts(2))
    times = [r.at for stream in device.spool.streams() for r in device.spool.records(stream)]
    assert times == list(range(1_800_000_000_000, 1_800_000_000_006))


@pytest.mark.parametrize("wall", [-1e9, 0.0, 1e15])
def test_a_clock_that_is_far_off_still_labels(device: Device, wall: float) -> None:
    device.clock.set_wall(wall)
    device.restart()
    device.spool.add(alerts(3))
    (a, b, c) = [record.at for record in device.spool.records(device.stream("alert"))]
    assert 0 <= a < b < c < 9_999_999_999_999
    assert device.boot == device.stream("alert").boot


def test_frames_go_by_value_and_then_by_age(device: Device) -> None:
    device.spool.add([upload("a", value=0.1), upload("b", value=0.9), upload("c", value=0.9), upload("d", value=0.5)])
    assert device.uploads() == ["b", "c", "d", "a"]
    found = device.spool.next_upload()
    assert found is not None
    assert (found.key, found.content, found.metadata) == ("b", upload("b").content, upload("b").metadata)
    device.spool.uploaded(found.id)
    device.restart()
    assert device.uploads() == ["c", "d", "a"]
    assert device.spool.evicted["frame"] == 0


def test_a_frame_that_can_never_go_is_discarded_and_counted(device: Device) -> None:
    device.spool.add([upload("a")])
    found = device.spool.next_upload()
    assert found is not None
    device.spool.discard(found.id)
    device.spool.discard(found.id)
    assert device.restart().evicted["frame"] == 1
    assert device.uploads() == []


def test_depth_tells_what_waits(device: Device) -> None:
    device.spool.add([*alerts(7), upload("a", size=40_000), upload("b", size=40_000)])
    depth = device.spool.depth()
    assert (depth.records, depth.frames) == (7, 2)
    assert 80_000 < depth.bytes < 200_000


@pytest.mark.parametrize(
    "odd",
    [
        Message("alert", {"species": "crab"}),
        Message("gossip", {}),
        Message("summary", any_summary(species=500)),
        Upload("k", b"x" * MIB, {}, 0.5),
        Upload("k", b"x", {}, math.nan),
        Upload("\ud800", b"x", {}, 0.5),
    ],
    ids=["no alert", "no kind", "too large", "a large frame", "no value", "no key"],
)
def test_one_odd_entry_does_not_stop_the_rest(device: Device, odd: Entry, caplog: pytest.LogCaptureFixture) -> None:
    device.spool.add([*alerts(1), odd, *alerts(1, first=1)])
    assert device.alerts() == [0, 1]
    assert sum(device.spool.evicted.values()) == 1
    assert sum(device.restart().evicted.values()) == 1
    assert "is not spooled: " in caplog.text


def test_nothing_is_nothing(device: Device) -> None:
    device.spool.add([])
    assert device.spool.streams() == []


def test_threads_may_share_it(device: Device) -> None:
    def work(first: int) -> None:
        for n in range(first, first + 20):
            device.spool.add(alerts(1, first=n))
            device.spool.streams()
            device.spool.base(Stream(device.boot, "alert"))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(device.alerts()) == list(range(60))
    assert device.numbers("alert") == list(range(1, 61))


_STEPS = st.one_of(
    st.tuples(st.just("add"), st.lists(st.sampled_from(["alert", "health", "summary"]), min_size=1, max_size=6)),
    st.tuples(st.just("frame"), st.integers(1, 30)),
    st.tuples(st.just("acknowledge"), st.sampled_from(["alert", "health", "summary"]), st.integers(0, 10)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("set clock"), st.integers(-(10**8), 10**8)),
)


@given(steps=st.lists(_STEPS, max_size=15))
@settings(max_examples=25)
def test_whatever_happens_streams_are_dense_and_times_rise(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    device = Device(tmp_path_factory.mktemp("device") / "spool")
    given: dict[Stream, int] = {}
    acknowledged: dict[Stream, int] = {}
    for step in steps:
        match step:
            case ("add", kinds):
                device.spool.add([message(kind) for kind in kinds])
                for kind in kinds:
                    given[Stream(device.boot, kind)] = given.get(Stream(device.boot, kind), 0) + 1
            case ("frame", kib):
                device.spool.add([upload("k", size=kib * 1024)])
            case ("acknowledge", kind, through):
                for stream in [each for each in device.spool.streams() if each.kind == kind]:
                    through = min(through, given[stream])
                    device.spool.acknowledge(Ack(stream.boot, kind, through))
                    acknowledged[stream] = max(acknowledged.get(stream, 0), through)
            case ("restart",):
                device.restart()
            case ("set clock", seconds):
                device.clock.set_wall(device.clock.wall() + seconds)
    waiting = {s: [r.seq for r in device.spool.records(s)] for s in device.spool.streams()}
    expected = {s: list(range(acknowledged.get(s, 0) + 1, last + 1)) for s, last in given.items()}
    assert waiting == {s: numbers for s, numbers in expected.items() if numbers}
    assert all(device.spool.base(s) == numbers[0] for s, numbers in waiting.items())
    for stream in waiting:
        times = [record.at for record in device.spool.records(stream)]
        assert times == sorted(set(times))
    device.close()
