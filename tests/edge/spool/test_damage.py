"""A file that is damaged, wherever and whenever, is set aside with its log; a new one is begun, and that is said."""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from classifier.messages import Ack
from classifier.spool import Stream
from classifier.spool.database import PAGE

from tests.edge.any_message import alerts, message, upload
from tests.edge.spool.conftest import MIB, Device


def garble(path: Path, begin: int, end: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(random.Random(begin).randbytes(min(end, path.stat().st_size) - begin))


def _foreign_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name)")
    connection.close()


def _another_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()


def _without_a_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE evicted")
    connection.close()


def _without_identity(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta")
    connection.close()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "photo").write_text("of somebody")


_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the head": (lambda path: garble(path, 0, 100), "not a database"),
    "the first page": (lambda path: garble(path, 16, PAGE), ""),
    "cut in half": (lambda path: os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE), ""),
    "cut within the first page": (lambda path: os.truncate(path, 100), ""),
    "nothing in it": (lambda path: os.truncate(path, 0), "spool.db is empty"),
    "zeroes": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "not a database"),
    "a text": (lambda path: path.write_text("to whom it may concern\n" * 1000), "not a database"),
    "a folder": (_folder, "spool.db is no file"),
    "another program's database": (_foreign_database, "its schema is of version 0"),
    "another version": (_another_version, "its schema is of version 7; this is 1"),
    "a table missing": (_without_a_table, "evicted"),
    "a value missing": (_without_identity, "there is no identity"),
}


@pytest.mark.parametrize(("damage", "said"), _DAMAGES.values(), ids=_DAMAGES)
def test_a_damaged_file_is_set_aside(device: Device, damage: Callable[[Path], object], said: str) -> None:
    device.spool.add(alerts(300))
    device.spool.close()
    damage(device.file)
    device.start()
    assert device.spool.place == "disk"
    assert device.spool.trouble.startswith("a corrupt spool was set aside as spool.corrupt-1: ")
    assert said in device.spool.trouble
    assert (device.folder / "spool.corrupt-1").exists()
    device.spool.add(alerts(2))
    device.restart()
    assert device.alerts() == [0, 1]
    assert device.spool.trouble == ""


def test_wherever_a_page_is_damaged_nothing_wrong_comes_out(device: Device) -> None:
    device.spool.add([*alerts(150), *[message("summary", n) for n in range(50)]])
    device.spool.add([upload(f"{n}", size=30_000) for n in range(4)])
    device.spool.close()
    whole, aside = device.file.read_bytes(), 0
    for page in range(len(whole) // PAGE):
        device.file.write_bytes(whole)
        garble(device.file, page * PAGE + 50, (page + 1) * PAGE)
        device.start()
        assert device.spool.place == "disk"
        assert device.alerts() in (list(range(150)), [])
        found = device.spool.next_upload()
        assert found is None or found.content == upload(found.key, size=30_000).content
        device.spool.add(alerts(1, first=999))
        assert device.alerts()[-1] == 999
        aside += bool(device.spool.trouble)
        device.spool.close()
    assert aside > len(whole) // PAGE / 2


def test_a_bit_of_a_message_that_turned_is_noticed(device: Device) -> None:
    device.spool.add(alerts(3))
    device.spool.close()
    content = device.file.read_bytes()
    assert content.count(b'"frames":1,') == 1
    device.file.write_bytes(content.replace(b'"frames":1,', b'"frames":3,'))
    device.start()
    assert device.alerts() == []
    assert "message 2 is not as it was written" in device.spool.trouble


def test_the_log_goes_with_the_file(device: Device) -> None:
    device.spool.add(alerts(3))
    log = device.file.with_name("spool.db-wal")
    content = log.read_bytes()
    device.spool.close()
    log.write_bytes(content)
    device.file.write_text("no database at all")
    device.start()
    assert (device.folder / "spool.corrupt-1").read_text() == "no database at all"
    assert (device.folder / "spool.corrupt-1-wal").read_bytes() == content


@pytest.mark.parametrize("log", ["spool.db-wal", "spool.db-journal"])
def test_a_folder_in_place_of_the_log_is_set_aside(device: Device, log: str) -> None:
    device.spool.add(alerts(3))
    device.spool.close()
    (device.folder / log).mkdir()
    device.start()
    assert device.spool.place == "disk"
    assert f"{log} is no file" in device.spool.trouble


def test_a_log_that_lost_its_file_is_set_aside(device: Device) -> None:
    device.spool.close()
    device.file.unlink()
    device.file.with_name("spool.db-wal").write_bytes(b"x" * 10_000)
    device.start()
    assert "spool.db-wal is there without spool.db" in device.spool.trouble
    assert (device.folder / "spool.corrupt-1-wal").exists()


def test_a_log_whose_end_is_damaged_loses_that_end_alone(tmp_path: Path) -> None:
    device = Device(tmp_path / "spool", max_bytes=16 * MIB)  # large enough that nothing is carried into the file yet
    device.spool.add(alerts(20))
    log = device.file.with_name("spool.db-wal")
    before = log.read_bytes()
    device.spool.add(alerts(20, first=20))
    # Where the second transaction begins in the room that the log has.
    after = log.read_bytes()
    garble(log, next(place for place, byte in enumerate(after) if before[place : place + 1] != bytes([byte])), 10**9)
    device.crash()
    assert device.alerts() == list(range(20))
    assert device.spool.trouble == ""
    device.close()


def test_only_the_latest_is_kept_for_a_person_to_look_at(device: Device) -> None:
    for n in range(1, 4):
        device.spool.close()
        device.file.write_text(f"damage {n}")
        device.start()
    aside = sorted(path.name for path in device.folder.glob("spool.corrupt-*"))
    assert aside == ["spool.corrupt-3"]
    assert (device.folder / "spool.corrupt-3").read_text() == "damage 3"


@pytest.mark.parametrize(
    "use",
    [
        lambda device: device.spool.add(alerts(1)),
        lambda device: device.spool.next_upload(),
        lambda device: device.spool.records(Stream(device.boot, "alert")),
        lambda device: device.spool.acknowledge(Ack(device.boot, "alert", 5)),
        lambda device: device.spool.streams(),
        lambda device: device.spool.depth(),
        lambda device: device.spool.resize(2**21),
    ],
    ids=["add", "next upload", "records", "acknowledge", "streams", "depth", "resize"],
)
def test_damage_that_shows_only_in_use_is_survived(device: Device, use: Callable[[Device], object]) -> None:
    device.spool.add([*alerts(200), *[upload(f"{n}", size=30_000) for n in range(10)]])
    device.restart()
    before = device.boot
    # Before its first question of these pages: the connection keeps what it has read.
    garble(device.file, PAGE, 10**9)
    device.spool._place.store.connection.execute("PRAGMA shrink_memory")
    use(device)
    device.spool.next_upload()
    device.spool.add(alerts(2, first=500))
    assert device.alerts()[-2:] == [500, 501]
    assert "set aside" in device.spool.trouble
    assert all(stream.boot != before for stream in device.spool.streams())
    device.restart()
    assert device.alerts()[-2:] == [500, 501]


def test_what_was_lost_is_still_counted_in_the_new_file(device: Device) -> None:
    device.spool.discard("nothing")
    device.spool.add([upload("a")])
    found = device.spool.next_upload()
    assert found is not None
    device.spool.discard(found.id)
    device.spool.add([upload(f"{n}", size=30_000) for n in range(10)])
    garble(device.file, 0, 10**9)
    garble(device.file.with_name("spool.db-wal"), 0, 10**9)
    device.spool._place.store.connection.execute("PRAGMA shrink_memory")
    device.spool.next_upload()
    assert "set aside" in device.spool.trouble
    assert device.restart().evicted["frame"] == 1


def test_a_power_cut_while_the_first_file_is_made_is_no_damage(device: Device) -> None:
    device.crash()
    folder = device.file.parent
    for left in folder.iterdir():
        left.unlink()
    (folder / "spool.db.new").write_bytes(b"SQLite format 3\0 and no more")
    (folder / "spool.db.new-wal").write_bytes(b"")
    spool = device.start()
    assert (spool.trouble, spool.lost) == ("", False)
    assert [path.name for path in folder.iterdir() if "corrupt" in path.name or ".new" in path.name] == []
