"""A folder of frames: each file once, whatever the camera, the disk and the clock do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from classifier import sources
from classifier.clock import ManualClock
from classifier.configuration import Configuration
from classifier.frames import Unreadable
from classifier.sources import folder as folder_module
from classifier.sources.folder import MAXIMUM_BYTES, Folder, listed

from tests.edge.sources.cameras import Patience

LONG_AGO = 1_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stop(clock: ManualClock) -> Patience:
    return Patience(clock)


def source(work: Path, clock: ManualClock, *, keep: int = 100) -> Folder:
    return Folder(
        work / "frames", done=work / "done", unreadable=work / "unreadable", clock=clock, poll_seconds=5, keep=keep
    )


def see(work: Path, name: str, content: bytes = b"x", *, changed: float = LONG_AGO) -> Path:
    path = work / "frames" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (changed, changed))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_come_in_order_of_name_with_their_own_bytes(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    for name in ("b.jpg", "a.jpg", "c.jpg"):
        see(tmp_path, name, name.encode())
    frames = source(tmp_path, clock)
    found = [frames.next(stop) for _ in range(3)]
    assert [(frame.name, frame.content) for frame in found if frame] == [
        ("a.jpg", b"a.jpg"),
        ("b.jpg", b"b.jpg"),
        ("c.jpg", b"c.jpg"),
    ]


def test_a_frame_that_is_in_work_is_not_handed_on_again_and_a_finished_one_is_done(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    see(tmp_path, "a.jpg")
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None
    assert [frames.next(stop) for _ in range(20)] == [None] * 20
    assert names(tmp_path / "frames") == ["a.jpg"], "a power cut now classifies it again"
    frames.finish(frame)
    assert (names(tmp_path / "frames"), names(tmp_path / "done")) == ([], ["a.jpg"])


def test_a_camera_that_uses_one_name_for_all_is_followed(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    frames = source(tmp_path, clock)
    for content in (b"1", b"2", b"3"):
        see(tmp_path, "latest.jpg", content)
        found = [frame for frame in (frames.next(stop) for _ in range(8)) if frame]
        assert [frame.content for frame in found] == [content]
        frames.finish(found[0])
    assert (tmp_path / "done" / "latest.jpg").read_bytes() == b"3"


def test_a_young_file_that_cannot_be_read_comes_again_and_does_not_count(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    see(tmp_path, "a.jpg", b"ha", changed=clock.wall() - 0.5)
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None
    assert not frames.set_aside(frame, "truncated")
    assert frames.next(stop) is None, "not in a hurry"
    see(tmp_path, "a.jpg", b"half and half", changed=clock.wall())
    again = next(frame for frame in (frames.next(stop) for _ in range(10)) if frame)
    assert again.content == b"half and half"


@pytest.mark.parametrize("age", [2.0, -3600.0], ids=["settled", "changed in the future, as the clock was set back"])
def test_an_old_file_that_cannot_be_read_is_set_aside(
    tmp_path: Path, clock: ManualClock, stop: Patience, age: float
) -> None:
    see(tmp_path, "a.jpg", b"ha", changed=clock.wall() - age)
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None
    assert frames.set_aside(frame, "truncated")
    assert (names(tmp_path / "frames"), names(tmp_path / "unreadable")) == ([], ["a.jpg"])


def test_folders_hidden_files_links_and_pipes_are_no_frames(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    see(tmp_path, ".hidden.jpg")
    (tmp_path / "frames" / "folder").mkdir()
    (tmp_path / "frames" / "link.jpg").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "frames" / "pipe.jpg")
    frames = source(tmp_path, clock)
    assert [frames.next(stop) for _ in range(10)] == [None] * 10
    assert len(names(tmp_path / "frames")) == 4


def test_a_file_that_becomes_a_pipe_meanwhile_does_not_hold_the_thread(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    see(tmp_path, "a.jpg")
    second = see(tmp_path, "b.jpg")
    frames = source(tmp_path, clock)
    frames.next(stop)
    second.unlink()
    os.mkfifo(second)
    with pytest.raises(Unreadable, match="no regular file"):
        frames.next(stop)


def test_a_file_too_large_to_be_a_frame_is_set_aside_unread(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    path = see(tmp_path, "a.jpg")
    with path.open("wb") as file:
        file.truncate(MAXIMUM_BYTES + 1)
    os.utime(path, (LONG_AGO, LONG_AGO))
    with pytest.raises(Unreadable, match="at most"):
        source(tmp_path, clock).next(stop)
    assert names(tmp_path / "unreadable") == ["a.jpg"]


def test_a_file_that_is_gone_meanwhile_does_not_stop_the_next_and_does_not_count(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    see(tmp_path, "a.jpg")
    gone = see(tmp_path, "b.jpg")
    see(tmp_path, "c.jpg")
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None
    gone.unlink()
    assert frames.next(stop) is None
    assert (last := frames.next(stop)) is not None
    assert last.name == "c.jpg"
    assert frame.path is not None
    frame.path.unlink()
    frames.finish(frame)


def test_a_frame_that_is_finished_while_the_folder_is_being_listed_does_not_count(
    tmp_path: Path, clock: ManualClock, stop: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(tmp_path, "a.jpg")
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None

    def listed_slowly(folder: Path) -> Iterator[str]:
        for name in list(listed(folder)):
            frames.finish(frame)
            yield name

    monkeypatch.setattr(folder_module, "listed", listed_slowly)
    assert frames.next(stop) is None
    assert names(tmp_path / "unreadable") == []
    assert names(tmp_path / "done") == ["a.jpg"]


def test_a_name_of_any_bytes_becomes_text_and_the_file_is_moved_all_the_same(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    (tmp_path / "frames").mkdir()
    path = os.fsencode(tmp_path / "frames") + b"/\xff\n.jpg"
    Path(os.fsdecode(path)).write_bytes(b"x")
    os.utime(path, (LONG_AGO, LONG_AGO))
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None
    assert frame.name.encode() == rb"\udcff\n.jpg"
    frames.finish(frame)
    assert len(names(tmp_path / "done")) == 1


def test_a_name_is_one_line_of_a_log_and_nothing_that_a_terminal_obeys(
    tmp_path: Path, clock: ManualClock, stop: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    see(tmp_path, "a\nERROR all is lost \x1b[31m.jpg")
    frames = source(tmp_path, clock)
    frame = frames.next(stop)
    assert frame is not None
    assert frames.set_aside(frame, "it is no image")
    assert frame.name == r"a\nERROR all is lost \x1b[31m.jpg"
    assert caplog.messages == [rf"{frame.name} is set aside: it is no image"]


@pytest.mark.parametrize(
    "name", [".", "done", "unreadable", "models", "spool/..", "results", "venv/lib", "frames/../done"]
)
def test_the_components_own_files_are_no_frames(tmp_path: Path, clock: ManualClock, name: str) -> None:
    (tmp_path / "configuration.json").write_text("{}")
    with pytest.raises(ValueError, match="give its frames a folder of their own"):
        sources.open(Configuration(source=f"folder:{name}"), tmp_path, clock)
    sources.open(Configuration(source="folder:frames"), tmp_path, clock)


def test_only_the_newest_files_are_kept(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    (tmp_path / "done").mkdir()
    for number in range(5):
        path = tmp_path / "done" / f"old-{number}.jpg"
        path.write_bytes(b"x")
        os.utime(path, (LONG_AGO + number, LONG_AGO + number))
    frames = source(tmp_path, clock, keep=3)
    assert names(tmp_path / "done") == ["old-2.jpg", "old-3.jpg", "old-4.jpg"]
    see(tmp_path, "a.jpg")
    frame = frames.next(stop)
    assert frame is not None
    frames.finish(frame)
    assert names(tmp_path / "done") == ["a.jpg", "old-3.jpg", "old-4.jpg"]


def test_nothing_is_kept_where_nothing_may_be(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    see(tmp_path, "a.jpg")
    frames = source(tmp_path, clock, keep=0)
    frame = frames.next(stop)
    assert frame is not None
    frames.finish(frame)
    assert (names(tmp_path / "frames"), names(tmp_path / "done")) == ([], [])


def test_a_frame_that_cannot_be_moved_is_not_classified_for_ever(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    see(tmp_path, "a.jpg")
    see(tmp_path, "b.jpg")
    frames = source(tmp_path, clock)
    (tmp_path / "done").rmdir()
    (tmp_path / "done").write_text("in the way")
    frame = frames.next(stop)
    assert frame is not None
    frames.finish(frame)
    later = [frame.name for frame in (frames.next(stop) for _ in range(20)) if frame]
    assert later == ["b.jpg"]


def test_a_folder_that_is_away_is_looked_for_again(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    frames = source(tmp_path, clock)
    (tmp_path / "frames").rmdir()
    assert [frames.next(stop) for _ in range(10)] == [None] * 10
    see(tmp_path, "a.jpg")
    assert any(frames.next(stop) for _ in range(10))


def test_an_empty_folder_is_looked_at_once_in_a_poll(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    frames = source(tmp_path, clock)
    assert frames.next(stop) is None
    see(tmp_path, "a.jpg")
    begun = clock.elapsed()
    while frames.next(stop) is None:
        pass
    assert clock.elapsed() - begun == pytest.approx(5)


def test_a_folder_of_months_is_read_in_bounded_steps_in_order_and_whole(
    tmp_path: Path, clock: ManualClock, stop: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "BATCH", 20)
    monkeypatch.setattr(folder_module, "STEP", 50)
    count = 300
    for number in range(count):
        see(tmp_path, f"{number * 7 % count:03d}.jpg")
    frames = source(tmp_path, clock, keep=1000)
    found: list[str] = []
    without, most = 0, 0
    while len(found) < count:
        frame = frames.next(stop)
        if frame is None:
            without += 1
            most = max(most, without)
            continue
        without = 0
        found.append(frame.name)
        frames.finish(frame)
    assert found == [f"{number:03d}.jpg" for number in range(count)]
    assert most <= 1 + count / 50
    assert clock.elapsed() == 0, "it never waits while there are files"
