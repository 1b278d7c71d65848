"""Video files as OpenCV writes and reads them: played once, at their own speed, whatever is damaged."""

import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest
from classifier import sources
from classifier.clock import ManualClock
from classifier.configuration import parse
from classifier.frames import Frame, Unreadable
from classifier.sources.source import Source

from tests.edge.sources.cameras import Patience, pictures, write_video

LEVELS = [8 * number for number in range(30)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stop(clock: ManualClock) -> Patience:
    return Patience(clock)


def opened(work: Path, clock: ManualClock, *, fps: float = 100, name: str = "a.avi", replayed: bool = False) -> Source:
    return sources.open(parse({"source": f"video:{name}", "frames_per_second": fps}), work, clock, replayed=replayed)


def played(source: Source, stop: Patience) -> tuple[list[Frame], int]:
    """Every frame to the end, and how often something was unreadable."""
    found: list[Frame] = []
    unreadable = 0
    for _ in range(2000):
        if source.exhausted:
            return found, unreadable
        try:
            frame = source.next(stop)
        except Unreadable:
            unreadable += 1
            continue
        if frame:
            found.append(frame)
    raise AssertionError("it has no end")


def levels(frames: list[Frame]) -> list[float]:
    return [float(np.mean(frame.pixels)) for frame in frames if frame.pixels is not None]


def test_every_frame_comes_once_in_order_at_the_speed_of_the_video(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS, fps=10)
    frames, unreadable = played(opened(tmp_path, clock), stop)
    assert levels(frames) == pytest.approx(LEVELS, abs=4)
    assert unreadable == 0
    assert np.diff([frame.taken for frame in frames]) == pytest.approx(0.1, abs=0.01)
    assert clock.elapsed() == pytest.approx(2.9, abs=0.1)


def test_only_so_many_frames_a_second_of_the_video_are_handed_on(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS, fps=10)
    frames, unreadable = played(opened(tmp_path, clock, fps=2), stop)
    assert levels(frames) == pytest.approx(LEVELS[::5], abs=4)
    assert unreadable == 0


def test_a_slow_device_plays_a_video_slower_and_drops_nothing(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS, fps=10)
    source, found = opened(tmp_path, clock), []
    while not source.exhausted:
        frame = source.next(stop)
        if frame:
            found.append(frame)
            assert frame.taken <= clock.elapsed()
            clock.advance(1.0)
    assert len(found) == 30
    assert np.diff([frame.taken for frame in found][1:]) == pytest.approx(1.0, abs=0.2)


def test_a_replay_waits_for_nothing_and_may_be_repeated(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    write_video(tmp_path / "a.avi", LEVELS, fps=10)
    for _ in range(2):
        frames, _ = played(opened(tmp_path, clock, replayed=True), stop)
        assert [frame.taken for frame in frames] == pytest.approx([0.1 * number for number in range(30)])
    assert clock.elapsed() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]


def test_a_video_that_was_played_is_not_played_again_but_another_one_is(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS)
    assert len(played(opened(tmp_path, clock), stop)[0]) == 30
    again = opened(tmp_path, clock)
    assert again.exhausted
    assert again.next(stop) is None
    write_video(tmp_path / "a.avi", LEVELS[:7])
    assert len(played(opened(tmp_path, clock), stop)[0]) == 7


def test_a_video_that_was_interrupted_is_played_again(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    write_video(tmp_path / "a.avi", LEVELS)
    source = opened(tmp_path, clock)
    source.next(stop)
    source.close()
    assert source.next(stop) is None
    assert len(played(opened(tmp_path, clock), stop)[0]) == 30


def test_damaged_frames_count_and_the_others_come(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    path = write_video(tmp_path / "a.avi", LEVELS)
    content = bytearray(path.read_bytes())
    for at in list(pictures(bytes(content)))[5:8]:
        content[at : at + 400] = bytes(400)
    path.write_bytes(content)
    frames, unreadable = played(opened(tmp_path, clock), stop)
    assert len(frames) + unreadable == 30
    assert 1 <= unreadable <= 6
    assert levels(frames)[-1] == pytest.approx(LEVELS[-1], abs=4)


def test_a_video_cut_off_in_the_middle_ends_with_what_is_missing_counted(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    path = write_video(tmp_path / "a.avi", LEVELS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, unreadable = played(opened(tmp_path, clock), stop)
    assert 0 < len(frames) < 25
    assert len(frames) + unreadable == 30


@pytest.mark.parametrize("content", [None, b"", b"no video", b"\x00" * 4096], ids=["none", "empty", "text", "zeros"])
def test_what_is_no_video_is_unreadable_once_and_then_there_is_nothing(
    tmp_path: Path, clock: ManualClock, stop: Patience, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "a.avi").write_bytes(content)
    assert played(opened(tmp_path, clock), stop) == ([], 1)


def test_a_pipe_in_place_of_a_video_does_not_hold_the_thread(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    os.mkfifo(tmp_path / "a.avi")
    assert played(opened(tmp_path, clock), stop) == ([], 1)


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_ends_in_frames_and_counts_and_nothing_else(
    tmp_path: Path, clock: ManualClock, stop: Patience, seed: int
) -> None:
    path, chance = write_video(tmp_path / "a.avi", LEVELS), random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(4 * seed + 1):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)
    frames, unreadable = played(opened(tmp_path, clock, replayed=True), stop)
    assert frames or unreadable
    assert all(0 < second.taken - first.taken < 61 for first, second in itertools.pairwise(frames))
