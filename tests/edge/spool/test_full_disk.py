"""A disk with no room: what is worth least makes some, and only when nothing may does the spool go to memory."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.edge.any_message import alerts, message, upload
from tests.edge.spool.conftest import Device


def test_a_full_disk_evicts_what_is_worth_least_and_goes_on(tmp_path: Path) -> None:
    """Full: the file cannot grow. What was freed can be written again."""
    device = Device(tmp_path / "spool")
    device.spool.add([*alerts(5), *[upload(f"{n}", size=40_000, value=n) for n in range(8)]])
    aside = device.folder / "spool.corrupt-9"
    aside.write_bytes(b"only to be looked at")
    connection = device.spool._place.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    device.spool.add([upload("late", size=40_000, value=99), *alerts(1, first=5)])
    assert (device.spool.place, device.spool.trouble) == ("disk", "")
    assert device.alerts() == [0, 1, 2, 3, 4, 5]
    assert device.uploads()[0] == "late"
    assert "0" not in device.uploads()
    assert device.spool.evicted["frame"] >= 1
    assert not aside.exists()
    device.close()


def test_frames_make_room_before_the_disk_is_full(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk cannot even empty the log: so the file stops growing before."""
    device.spool.add([*alerts(50), *[upload(f"{n}", size=30_000, value=n) for n in range(10)]])
    real = os.statvfs(device.file)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=10, f_frsize=real.f_frsize))
    device.spool.add([])
    device.spool.add([message("summary")])
    size = device.file.stat().st_size
    for n in range(10, 20):
        device.spool.add([upload(f"{n}", size=30_000, value=n), *alerts(1, first=40 + n)])
    assert device.file.stat().st_size == size
    assert device.uploads()[0] == "19"
    assert device.alerts() == list(range(60))
    assert device.spool.evicted == {"alert": 0, "health": 0, "summary": 0, "frame": 20 - len(device.uploads())}


def test_a_full_disk_gives_no_alert_for_a_summary(tmp_path: Path) -> None:
    device = Device(tmp_path / "spool")
    device.spool.add(alerts(300))
    connection = device.spool._place.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    for n in range(100):
        device.spool.add([message("summary", n)])
    assert device.spool.evicted["alert"] == 0
    device.a_minute_later()
    assert len(device.alerts()) == 300
    device.close()
