"""Checkpoints that survive being interrupted while they are written.

A checkpoint's name says of which training it is, how far that had come, and the SHA-256 of its bytes: one that is cut
off, empty or changed is never loaded, whoever copied it. SageMaker copies the folder to S3 as files appear in it and
back before a restart, and deletes there what is deleted here:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch

KEPT: Final = 2
"""The second-last is for the case that the last one is damaged."""
MARK: Final = 16
NAME: Final = re.compile(rf"checkpoint-([0-9a-f]{{{MARK}}})-(\d{{6}})-(\d{{8}})-([0-9a-f]{{64}})\.pt")


@dataclass(frozen=True, order=True)
class Checkpoint:
    """One file, of which only the name has been read."""

    epoch: int
    step: int
    mark: str
    digest: str
    path: Path

    @classmethod
    def named(cls, path: Path) -> Self | None:
        if found := NAME.fullmatch(path.name):
            return cls(int(found[2]), int(found[3]), found[1], found[4], path)
        return None

    def load(self) -> dict[str, Any] | None:
        """What was saved, on the CPU; None when the bytes are not the ones that were written."""
        with self.path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.digest:
                return None
            file.seek(0)
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state


def save(folder: Path, state: dict[str, Any], *, mark: str) -> Path:
    """Write a checkpoint whole or not at all, and drop all but the last two of this training.

    Args:
        state: has `epoch` and `step`.
        mark: the fingerprint of the training, in hexadecimal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".checkpoint.{os.getpid()}"
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path = folder / f"checkpoint-{mark[:MARK]}-{state['epoch']:06d}-{state['step']:08d}-{digest}.pt"
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(folder)
    for old in _of(folder, mark)[:-KEPT]:
        old.path.unlink()
    return path


def latest(folder: Path, *, mark: str) -> dict[str, Any] | None:
    """The newest whole checkpoint of the training with this mark, or None.

    Damaged ones are removed, and so is what an interrupted writer left; those of other trainings are left alone.
    """
    for path in folder.glob(".checkpoint.*"):
        path.unlink()
    own = _of(folder, mark)
    if others := len(list(folder.glob("checkpoint-*.pt"))) - len(own):
        print(f"{others} checkpoints are of another training and passed over", flush=True)
    for checkpoint in reversed(own):
        if state := checkpoint.load():
            return state
        print(f"{checkpoint.path.name} is damaged and removed", flush=True)
        checkpoint.path.unlink()
    return None


def _of(folder: Path, mark: str) -> list[Checkpoint]:
    """In the order in which they were written."""
    found = (Checkpoint.named(path) for path in folder.glob("checkpoint-*.pt"))
    return sorted(one for one in found if one and one.mark == mark[:MARK])


def _sync(folder: Path) -> None:
    """Make the new name last: https://man7.org/linux/man-pages/man2/fsync.2.html"""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
