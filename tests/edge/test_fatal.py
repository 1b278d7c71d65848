"""A file at which the process dies is tried again once, and then no more."""

import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest
from classifier.pipeline.fatal import InHand


def die_at(path: Path, name: str) -> None:
    InHand(path).take(name)
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_third_process_does_not_take_the_file_at_which_two_were_killed(tmp_path: Path) -> None:
    path = tmp_path / "in-hand"
    for _ in range(2):
        process = get_context("fork").Process(target=die_at, args=(path, "wrécked picture.png"))
        process.start()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
    third = InHand(path)
    assert third.take("another.png")
    assert not third.take("wrécked picture.png")
    assert third.take("wrécked picture.png"), "a camera may use one name for all"


def test_a_file_that_was_survived_may_come_again(tmp_path: Path) -> None:
    for _ in range(5):
        note = InHand(tmp_path / "in-hand")
        assert note.take("still.jpg")
        note.done()


def test_files_at_which_one_process_each_ended_are_all_tried(tmp_path: Path) -> None:
    for number in (1, 2, 1, 2, 1):
        assert InHand(tmp_path / "in-hand").take(f"{number}.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "ab.jpg"])
def test_what_is_left_of_a_longer_name_does_not_matter(tmp_path: Path, name: str) -> None:
    InHand(tmp_path / "in-hand").take("é" * 40)
    for _ in range(2):
        assert InHand(tmp_path / "in-hand").take(name)
    assert not InHand(tmp_path / "in-hand").take(name)


def test_a_note_that_cannot_be_kept_or_makes_no_sense_keeps_nothing_back(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for _ in range(4):
        assert InHand(tmp_path / "folder").take("1.jpg")
        assert InHand(tmp_path / "missing" / "in-hand").take("1.jpg")
        (tmp_path / "garbage").write_bytes(b"\xff\xfe many 1.jpg")
        assert InHand(tmp_path / "garbage").take("1.jpg")
