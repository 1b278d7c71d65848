"""Checkpoints that survive being interrupted while they are written.

SageMaker copies the folder to S3 as files appear in it and back before a restart, and deletes there what is deleted
here: https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import os
from pathlib import Path
from typing import Any, Final

import torch

from jobs.paths import atomic

KEPT: Final = 2


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Write a checkpoint whole or not at all, and drop all but the last two. `state` has `epoch` and `step`."""
    path = folder / f"checkpoint-{state['epoch']:06d}-{state['step']:08d}.pt"
    with atomic(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    for old in _all(folder)[:-KEPT]:
        old.unlink()
    return path


def latest(folder: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """The newest checkpoint of the same training, or None. One that cannot be read, or of another, is passed over."""
    for path in reversed(_all(folder)):
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
        # A damaged archive makes torch raise nearly anything.
        except Exception as error:
            print(f"checkpoint {path.name} is damaged and passed over: {error}", flush=True)
            continue
        if state.get("fingerprint") == fingerprint:
            return state
        print(f"checkpoint {path.name} is of another training and passed over", flush=True)
    return None


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.pt"))
