"""A disk that is full, read-only, not there or broken: the spool lives on in memory, and goes back when that works."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from classifier import spool
from classifier.clock import ManualClock
from classifier.messages import Ack
from classifier.spool import Ledger, Spool
from classifier.spool.entries import Row
from classifier.spool.store import Store

from tests.edge.any_message import alerts, message, upload
from tests.edge.spool.conftest import MIB, Device, Disk

_ERRORS = {
    "full": sqlite3.SQLITE_FULL,
    "read-only": sqlite3.SQLITE_READONLY,
    "an error of the card": sqlite3.SQLITE_IOERR,
    "an error while it is written": sqlite3.SQLITE_IOERR_FSYNC,
    "not to be opened": sqlite3.SQLITE_CANTOPEN,
    "locked": sqlite3.SQLITE_BUSY,
}


@pytest.fixture(params=_ERRORS.values(), ids=_ERRORS)
def error(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def device(disk: Disk, device: Device) -> Device:
    device.restart()  # on the disk that can fail
    return device


def test_what_comes_while_the_disk_fails_is_kept_in_memory(device: Device, disk: Disk, error: int) -> None:
    device.spool.add(alerts(3))
    disk.error = error
    device.spool.add([*alerts(2, first=3), upload("a")])
    assert device.spool.place == "memory"
    assert device.spool.trouble == "the spool is in memory: the disk fails"
    assert device.alerts() == [3, 4]
    assert device.uploads() == ["a"]


def test_it_goes_back_with_all_that_it_holds(device: Device, disk: Disk, error: int) -> None:
    device.spool.add(alerts(3))
    disk.error = error
    device.spool.add([*alerts(2, first=3), message("summary"), upload("a", value=0.2), upload("b", value=0.7)])
    device.spool.add(alerts(1, first=5))
    disk.error = None
    device.spool.add(alerts(1, first=6))
    assert device.spool.place == "memory"  # it looks once a minute
    device.a_minute_later()
    assert device.spool.place == "disk"
    assert device.spool.trouble == "the spool was in memory: the disk fails"
    device.spool.add(alerts(1, first=7))
    device.crash()
    assert device.alerts() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert device.uploads() == ["b", "a"]
    assert device.spool.place == "disk"
    for stream in device.spool.streams():
        numbers = [record.seq for record in device.spool.records(stream)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_it_stays_in_memory_while_the_disk_still_fails(device: Device, disk: Disk, error: int) -> None:
    disk.error = error
    for n in range(5):
        device.spool.add(alerts(1, first=n))
        device.a_minute_later()
    assert device.spool.place == "memory"
    assert device.alerts() == [0, 1, 2, 3, 4]
    assert len(device.spool.streams()) == 1


def test_a_disk_that_fails_from_the_start(tmp_path: Path, disk: Disk, error: int) -> None:
    disk.error = error
    device = Device(tmp_path / "spool")
    device.spool.add(alerts(2))
    assert (device.spool.place, device.alerts()) == ("memory", [0, 1])
    disk.error = None
    device.a_minute_later()
    assert device.crash().place == "disk"
    assert device.alerts() == [0, 1]
    assert not list(device.folder.glob("spool.corrupt-*"))
    device.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda spool: spool.acknowledge(Ack(spool.streams()[0].boot, "alert", 1)),
        lambda spool: spool.uploaded(spool.next_upload().id),
        lambda spool: spool.discard(spool.next_upload().id),
        lambda spool: spool.resize(2 * MIB),
        lambda spool: spool.keep(Ledger(1.0, "b", 1.0, {}), oldest=0, identity=spool.identity),
    ],
    ids=["acknowledge", "uploaded", "discard", "resize", "keep"],
)
def test_whatever_writes_may_find_the_disk_failing(
    device: Device, disk: Disk, error: int, use: Callable[[Spool], object]
) -> None:
    device.spool.add([*alerts(3), upload("a")])
    disk.error = error
    use(device.spool)
    disk.error = None
    device.a_minute_later()
    assert device.spool.place == "disk"
    assert device.alerts()[-1] == 2


def test_a_transaction_that_may_be_on_the_disk_all_the_same_is_there_once(device: Device, disk: Disk) -> None:
    """The sync failed, and the log had it: it is found at the next opening, though SQLite said that it failed."""
    device.spool.add(alerts(1))
    store = device.spool._place.store
    commit = store.transaction

    def commits_and_fails() -> object:
        class Both:
            def __enter__(self) -> None:
                self.inner = commit()
                self.inner.__enter__()

            def __exit__(self, *failure: object) -> None:
                self.inner.__exit__(None, None, None)
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error

        return Both()

    store.transaction = commits_and_fails  # type: ignore[method-assign, assignment]
    device.spool.add(alerts(2, first=1))
    assert device.spool.place == "memory"
    device.a_minute_later()
    assert device.spool.place == "disk"
    assert device.alerts() == [0, 1, 2]


def test_a_move_that_breaks_off_loses_nothing_and_keeps_the_order(
    device: Device, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.error = sqlite3.SQLITE_IOERR
    for n in range(8):
        device.spool.add(alerts(200, first=200 * n))
    before = device.stream("alert")
    disk.error = None
    add, moved = Store.add, list[int]()

    def add_once(store: Store, rows: Sequence[Row], *, last_at: int) -> None:
        """They are more than one transaction may hold; after the first the disk fails again."""
        if store.on_disk:
            disk.error = sqlite3.SQLITE_IOERR if moved else None
            moved.append(len(rows))
        add(store, rows, last_at=last_at)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", add_once)
        device.a_minute_later()
    assert device.spool.place == "memory"
    assert device.alerts() == list(range(1600 - moved[0]))
    # What comes now is of another stream: in the old one a hole would hide what is on the disk.
    device.spool.add(alerts(1, first=1600))
    assert len(device.spool.records(before, after=1600 - moved[0])) == 0
    assert len(device.spool.streams()) == 2
    disk.error = None
    device.a_minute_later()
    assert device.spool.place == "disk"
    assert device.alerts() == list(range(1601))


@pytest.mark.parametrize(("count", "size", "kept"), [(20, MIB - 8192, 10), (20, MIB, 0), (1, 15 * MIB, 0)])
def test_what_was_one_transaction_on_the_disk_goes_to_memory_in_parts_and_what_is_too_large_for_it_is_counted(
    tmp_path: Path, disk: Disk, count: int, size: int, kept: int
) -> None:
    device = Device(tmp_path / "spool", max_bytes=512 * MIB)
    disk.error = sqlite3.SQLITE_IOERR
    device.spool.add([*(upload(str(number), size=size) for number in range(count)), *alerts(1)])
    assert (device.spool.place, device.alerts()) == ("memory", [0])
    assert len(device.uploads()) >= kept
    assert device.spool.evicted["frame"] == count - len(device.uploads())
    device.close()


def test_memory_is_bounded_too(tmp_path: Path, disk: Disk) -> None:
    disk.error = sqlite3.SQLITE_READONLY
    device = Device(tmp_path / "spool", max_bytes=64 * MIB)
    device.spool.add(alerts(10))
    for n in range(40):
        device.spool.add([upload(f"{n}", size=900_000)])
    assert 10 * MIB < device.spool.depth().bytes <= 16 * MIB
    assert device.alerts() == list(range(10))
    assert device.spool.evicted["frame"] == 40 - len(device.uploads())
    device.close()


def test_losses_are_counted_through_all_moves(device: Device, disk: Disk) -> None:
    def lose(key: str) -> None:
        device.spool.add([upload(key)])
        found = device.spool.next_upload()
        assert found is not None
        device.spool.discard(found.id)

    lose("a")
    disk.error = sqlite3.SQLITE_IOERR
    lose("b")
    disk.error = None
    device.a_minute_later()
    lose("c")
    assert device.spool.evicted["frame"] == 3
    assert device.restart().evicted["frame"] == 3


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    clock = ManualClock()
    found = spool.open(tmp_path / "work" / "spool", clock=clock, boot=spool.new_boot(clock), max_bytes=MIB)
    found.add(alerts(2))
    assert found.place == "memory"
    assert "Not a directory" in found.trouble
    (tmp_path / "work").unlink()
    clock.advance(61)
    found.add(alerts(1, first=2))
    assert found.place == "disk"
    (stream,) = [each for each in found.streams() if len(found.records(each)) == 2]
    assert stream.kind == "alert"
    found.close()


def test_a_second_process_stays_out_of_the_file(device: Device) -> None:
    device.spool.add(alerts(2))
    clock = ManualClock()
    second = spool.open(device.folder, clock=clock, boot=spool.new_boot(clock), max_bytes=MIB)
    assert (second.place, second.trouble) == ("memory", "the spool is in memory: database is locked")
    second.close()
    assert device.alerts() == [0, 1]
    assert device.spool.place == "disk"


def test_a_spool_that_was_closed_says_so(device: Device) -> None:
    device.spool.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        device.spool.add(alerts(1))
