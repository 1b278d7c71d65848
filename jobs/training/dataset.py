"""A dataset version as the trainer sees it: its train and validation splits, decoded. It never sees the test split.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-access-training-data.html
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from jobs import manifest
from jobs.errors import JobError
from jobs.manifest import digest
from jobs.paths import object_key, read_json
from jobs.training.cache import Bytes, Files, Pictures, Rows, decoded_once
from jobs.training.processes import Processes

SPLITS: Final = ("train", "validation")
IMAGES: Final = "images/"
"""Where the bucket has its images. A streamed channel is this prefix, so there a key has lost it."""
TRIED: Final = 8
"""So many of the first images tell whether it has."""
PROBLEMS_NAMED: Final = 5


@dataclass(frozen=True)
class Split:
    """Labeled images, in the order of the manifest."""

    pictures: Pictures
    rows: Rows
    """Where among the pictures each object's is."""
    targets: Tensor
    """The number of each object's class: int64 [n]."""
    objects: NDArray[np.uint64]
    """A hash of each object's content. It keys what is drawn for the object, wherever the object stands."""

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, indices: ArrayLike, out: Bytes) -> None:
        """Write images to `out`, [k, pixels, pixels, 3]."""
        self.pictures.read(self.rows[np.asarray(indices)], out)

    def images(self, indices: ArrayLike) -> Tensor:
        """Images as uint8 [k, 3, pixels, pixels], channels last in memory."""
        pixels = self.pictures.pixels
        out = np.empty((np.size(indices), pixels, pixels, 3), np.uint8)
        self.read(indices, out)
        return torch.from_numpy(out).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Dataset:
    labels: list[str]
    """The classes in the order of the model's outputs."""
    splits: dict[str, Split]
    unreadable: list[str]
    """Source-ref and reason of each image that is left out."""
    human_level: dict[str, Any] | None


@dataclass(frozen=True)
class _Listed:
    """A manifest's objects: no more of them is kept than training needs."""

    refs: list[str]
    classes: list[str]
    objects: list[int]


def load(
    dataset: Path,
    images: Path,
    *,
    attribute: str,
    pixels: int,
    unreadable_share: float,
    scratch: Path,
    processes: Processes,
) -> Dataset:
    """Read the manifests of a dataset version and decode their images to `pixels` x `pixels` under `scratch`.

    Every process calls it and gets the same.

    Raises:
        JobError: a manifest that is missing, empty or broken, a class that the card does not know, a single class,
            more unreadable images than `unreadable_share` of all, a split without any readable image, a full disk.
    """
    card = read_json(dataset / "card.json")
    labels: list[str] = card.get("labels") or _classes(dataset / "train.manifest", attribute)
    listed = {name: _listed(dataset / f"{name}.manifest", attribute, labels) for name in SPLITS}
    if not listed["train"].refs:
        raise JobError("train.manifest is empty: label more images, or import labels, before training")
    refs = [ref for part in listed.values() for ref in part.refs]
    keys = [object_key(ref) for ref in refs]
    prefix = _lost_prefix(images, keys)
    files = Files([images / key.removeprefix(prefix) for key in keys], pixels)
    allowed = int(unreadable_share * len(refs))
    started = time.monotonic()
    pictures, problems = decoded_once(files, scratch, processes, patience=allowed)
    if processes.rank == 0:
        print(f"decoded {len(refs) - len(problems)} images in {time.monotonic() - started:.1f} s", flush=True)
    unreadable = [f"{refs[row]}: {problem}" for row, problem in problems.items()]
    if len(unreadable) > allowed:
        raise JobError(
            f"{len(unreadable)} of {len(refs)} images cannot be read and training.unreadable_share {unreadable_share} "
            f"allows {allowed}: repair or remove them, or raise it. {'; '.join(unreadable[:PROBLEMS_NAMED])}"
        )
    index = {label: number for number, label in enumerate(labels)}
    splits, first = {}, 0
    for name, part in listed.items():
        kept = np.array([row for row in range(first, first + len(part.refs)) if row not in problems], np.int64)
        targets = torch.tensor([index[part.classes[row - first]] for row in kept], dtype=torch.long)
        splits[name] = Split(pictures, kept, targets, np.array(part.objects, np.uint64)[kept - first])
        first += len(part.refs)
        if not len(kept):
            reason = f"none of its {len(part.refs)} images can be read" if part.refs else "it has no objects"
            raise JobError(f"the {name} split cannot be used: {reason}; label more images, then train again")
    present = {labels[number] for number in splits["train"].targets.tolist()}
    if len(present) < 2:
        raise JobError(f"the train split has one class only, {present.pop()!r}: training needs at least two")
    return Dataset(labels, splits, unreadable, card.get("human_level"))


def _lost_prefix(images: Path, keys: list[str]) -> str:
    """What the channel's files lack of their keys. A folder's name would not tell: keys may begin images/images/."""
    for prefix, key in product(("", IMAGES), keys[:TRIED]):
        with suppress(OSError):  # a name that is too long
            if (images / key.removeprefix(prefix)).exists():
                return prefix
    return ""


def _classes(path: Path, attribute: str) -> list[str]:
    return sorted({entry.class_name(attribute) for entry in manifest.read(path)})


def _listed(path: Path, attribute: str, labels: list[str]) -> _Listed:
    known, found = set(labels), _Listed([], [], [])
    for entry in manifest.read(path):
        name = entry.class_name(attribute)
        if name not in known:
            raise entry.error(f"has the unknown class {name!r}; known are {', '.join(labels)}")
        found.refs.append(entry.source_ref)
        found.classes.append(name)
        found.objects.append(digest(entry.content))
    return found
