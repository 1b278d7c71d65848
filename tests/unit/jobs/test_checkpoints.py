"""Checkpoints: whole or not there, the newest whole one wins, and nothing of others is touched."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.training import checkpoints

MARK, OTHER = "a" * 64, "b" * 64


def state(epoch: int, step: int) -> dict[str, Any]:
    return {"epoch": epoch, "step": step, "network": {"weight": torch.full((100,), epoch + step / 10)}}


def save(folder: Path, epoch: int, step: int, mark: str = MARK) -> Path:
    return checkpoints.save(folder, state(epoch, step), mark=mark)


def found(folder: Path, mark: str = MARK) -> tuple[int, int] | None:
    latest = checkpoints.latest(folder, mark=mark)
    return latest and (latest["epoch"], latest["step"])


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "checkpoints", 3, 7)
    latest = checkpoints.latest(tmp_path / "checkpoints", mark=MARK)
    assert latest
    assert torch.equal(latest["network"]["weight"], state(3, 7)["network"]["weight"])


def test_there_may_be_none(tmp_path: Path) -> None:
    assert found(tmp_path / "checkpoints") is None


def test_the_last_two_are_kept_by_progress(tmp_path: Path) -> None:
    for epoch, step in ((0, 16), (9, 3), (9, 16), (10, 2)):
        save(tmp_path, epoch, step)
    assert found(tmp_path) == (10, 2)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("seed", range(8))
def test_damaged_ones_are_passed_over_and_removed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    save(tmp_path, 1, 16)
    newest = save(tmp_path, 2, 16)
    content = newest.read_bytes()
    position = rng.randrange(len(content))
    flipped = bytes([content[position] ^ 1 << rng.randrange(8)])
    newest.write_bytes(
        rng.choice([b"", content[:position], content + b"\0", content[:position] + flipped + content[position + 1 :]])
    )
    assert found(tmp_path) == (1, 16)
    assert not newest.exists()


def test_one_that_was_renamed_is_none_of_this_training(tmp_path: Path) -> None:
    path = save(tmp_path, 1, 16)
    path.rename(tmp_path / "checkpoint-best.pt")
    assert found(tmp_path) is None
    assert (tmp_path / "checkpoint-best.pt").exists()


def test_those_of_another_training_are_neither_loaded_nor_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [save(tmp_path, 50, step, mark=OTHER) for step in (1, 2)]
    assert found(tmp_path) is None
    assert "2 checkpoints are of another training" in capsys.readouterr().out
    for step in (1, 2, 3):
        save(tmp_path, 0, step)
    assert found(tmp_path) == (0, 3)
    assert found(tmp_path, OTHER) == (50, 2)
    assert all(path.exists() for path in others)


def test_what_an_interrupted_writer_left_is_removed(tmp_path: Path) -> None:
    save(tmp_path, 0, 1)
    (tmp_path / ".checkpoint.4242").write_bytes(b"PK")
    assert found(tmp_path) == (0, 1)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 0, 1)
    before = list(tmp_path.iterdir())

    def fail(_state: object, file: Any) -> None:
        file.write(b"PK half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 0, 2)
    assert list(tmp_path.iterdir()) == before


def test_nothing_but_plain_values_is_unpickled(tmp_path: Path) -> None:
    """A checkpoint comes from a bucket that others may write to."""
    checkpoints.save(tmp_path, {**state(0, 1), "network": Path("/")}, mark=MARK)
    with pytest.raises(Exception, match="Weights only load failed"):
        checkpoints.latest(tmp_path, mark=MARK)
