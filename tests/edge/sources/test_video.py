"""Video files as OpenCV writes and reads them: played once, at their own speed, whatever is damaged."""

import itertools
import json
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
from classifier.sources.video import KEEP_SECONDS

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
    """Every frame to the end, each dealt with, and how often something was unreadable."""
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
            source.finish(frame)
    raise AssertionError("it has no end")


def taken(source: Source, count: int, stop: Patience) -> list[Frame]:
    """So many frames; nothing is dealt with."""
    found: list[Frame] = []
    while len(found) < count:
        if frame := source.next(stop):
            found.append(frame)
    return found


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


def test_after_a_restart_a_video_goes_on_with_the_first_frame_that_was_not_dealt_with(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS, fps=10)
    whole, _ = played(opened(tmp_path, clock, fps=5, replayed=True), stop)
    source = opened(tmp_path, clock, fps=5)
    first = taken(source, 7, stop)
    source.close()
    assert source.next(stop) is None
    for frame in first[:5]:  # what was under way is dealt with after the source was closed, or never
        source.finish(frame)
    begun = clock.elapsed()
    rest, _ = played(opened(tmp_path, clock, fps=5), stop)
    assert levels(first[:5] + rest) == levels(whole)
    assert clock.elapsed() - begun == pytest.approx(2.0, abs=0.3), "what was played is not waited for"


def test_a_power_cut_plays_a_few_seconds_again_and_not_the_dive(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS, fps=1)
    source = opened(tmp_path, clock)
    for frame in taken(source, 20, stop):
        clock.advance(1.0)
        source.finish(frame)
    frames, _ = played(opened(tmp_path, clock), stop)  # nobody closed it
    assert len(LEVELS) - 20 <= len(frames) <= len(LEVELS) - 20 + KEEP_SECONDS + 1
    assert levels(frames) == pytest.approx(LEVELS[-len(frames) :], abs=4)


def test_a_video_has_ended_once_its_last_frame_is_dealt_with(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS[:3])
    source = opened(tmp_path, clock)
    frames = taken(source, 3, stop)
    source.next(stop)
    assert source.exhausted
    source.finish(frames[0])
    source.set_aside(frames[1], "the model failed on it")
    again = opened(tmp_path, clock)
    assert not again.exhausted
    assert levels(taken(again, 1, stop)) == pytest.approx(LEVELS[2:3], abs=4)
    source.finish(frames[2])
    assert opened(tmp_path, clock).exhausted


def test_a_thread_that_was_given_up_takes_nothing_back_when_it_ends(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    write_video(tmp_path / "a.avi", LEVELS)
    late = opened(tmp_path, clock)
    for frame in taken(late, 2, stop):
        late.finish(frame)
    played(opened(tmp_path, clock), stop)
    late.close()
    assert opened(tmp_path, clock).exhausted


@pytest.mark.parametrize("kept", ["", "[]", '{"video": 1}', '{"video": VIDEO, "frames": "many", "ended": 1}'])
def test_a_mark_that_makes_no_sense_is_none(tmp_path: Path, clock: ManualClock, stop: Patience, kept: str) -> None:
    path = write_video(tmp_path / "a.avi", LEVELS)
    status = path.stat()
    video = json.dumps([str(path), status.st_size, status.st_mtime_ns])
    (tmp_path / "video.json").write_text(kept.replace("VIDEO", video))
    assert len(played(opened(tmp_path, clock), stop)[0]) == 30


def test_what_was_unreadable_before_a_restart_is_not_counted_again(
    tmp_path: Path, clock: ManualClock, stop: Patience
) -> None:
    path = write_video(tmp_path / "a.avi", LEVELS)
    content = bytearray(path.read_bytes())
    for at in list(pictures(bytes(content)))[5:8]:
        content[at : at + 400] = bytes(400)
    path.write_bytes(content)
    frames, unreadable = played(opened(tmp_path, clock, replayed=True), stop)
    source, before, counted = opened(tmp_path, clock), 0, 0
    while before < 15:
        try:
            frame = source.next(stop)
        except Unreadable:
            counted += 1
            continue
        if frame:
            before += 1
            source.finish(frame)
    source.close()
    rest, after = played(opened(tmp_path, clock), stop)
    assert (before + len(rest), counted + after) == (len(frames), unreadable)


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
