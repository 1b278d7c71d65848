"""A dataset version in memory: every image decoded once, kept as bytes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from jobs import images, manifest
from jobs.errors import JobError
from jobs.manifest import Entry
from jobs.paths import object_key, read_json

SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Images [n, 3, pixels, pixels] of uint8 and the index of each one's class."""

    images: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    labels: list[str]
    splits: dict[str, Split]
    unreadable: list[str]
    """Source-ref and reason of each image that was skipped."""
    human_level: dict[str, Any] | None


def load(dataset: Path, images_folder: Path, *, attribute: str, pixels: int) -> Dataset:
    """Read the manifests of a dataset version and decode their images.

    Raises:
        JobError: a manifest that is missing, empty or broken, a class that the card does not know, a single class,
            a split without any readable image.
    """
    card = read_json(dataset / "card.json")
    entries = {name: list(manifest.read(dataset / f"{name}.manifest")) for name in SPLITS}
    if not entries["train"]:
        raise JobError("train.manifest is empty: label more images, or import labels, before training")
    labels = _labels(card, entries, attribute)
    unreadable: list[str] = []
    splits = {
        name: _decode(part, images_folder, labels, attribute, pixels, unreadable) for name, part in entries.items()
    }
    for name, split in splits.items():
        if len(split) == 0:
            skipped = (
                f"none of its {len(entries[name])} images can be decoded" if entries[name] else "it has no objects"
            )
            first = f", first {unreadable[0]}" if unreadable else ""
            raise JobError(f"the {name} split cannot be used: {skipped}{first}; label more images, then train again")
    present = {labels[index] for index in splits["train"].targets.tolist()}
    if len(present) < 2:
        raise JobError(f"the train split has one class only, {present.pop()!r}: training needs at least two")
    return Dataset(labels, splits, unreadable, card.get("human_level"))


def _labels(card: dict[str, Any], entries: dict[str, list[Entry]], attribute: str) -> list[str]:
    """The classes in the order of the model's outputs: the card's, which every label must be one of."""
    labels: list[str] = card.get("labels") or sorted({entry.class_name(attribute) for entry in entries["train"]})
    known = set(labels)
    for part in entries.values():
        for entry in part:
            if entry.class_name(attribute) not in known:
                raise entry.error(
                    f"has the unknown class {entry.class_name(attribute)!r}; known are {', '.join(labels)}"
                )
    return labels


def _decode(
    entries: list[Entry], folder: Path, labels: list[str], attribute: str, pixels: int, unreadable: list[str]
) -> Split:
    index = {label: number for number, label in enumerate(labels)}
    decoded, targets = [], []

    def attempt(entry: Entry) -> np.ndarray[Any, np.dtype[np.uint8]] | str:
        try:
            return images.load(folder / object_key(entry.source_ref), pixels)
        except images.UnreadableImage as error:
            return f"{entry.source_ref}: {error}"

    # Pillow decodes without the interpreter's lock.
    with ThreadPoolExecutor() as pool:
        for entry, result in zip(entries, pool.map(attempt, entries), strict=True):
            if isinstance(result, str):
                unreadable.append(result)
            else:
                decoded.append(result)
                targets.append(index[entry.class_name(attribute)])
    stacked = np.stack(decoded) if decoded else np.zeros((0, pixels, pixels, 3), np.uint8)
    return Split(torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous(), torch.tensor(targets, dtype=torch.long))
