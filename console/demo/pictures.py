"""The demo's photographs: drawn scenes or somebody's folder, dealt into gold, uploads and what devices will see."""

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from console.errors import Refusal
from console.photos import SUFFIXES, Photo, Photos, Skipped, class_folders, files_in, read_photos

GOLD: Final = "gold"
UPLOAD: Final = "upload"
LATER: Final = "later upload"
FIRST: Final = "first footage"
SECOND: Final = "second footage"
PARTS: Final = (GOLD, UPLOAD, LATER, FIRST, SECOND)

SHARES: Final[Mapping[str, float]] = {GOLD: 0.15, UPLOAD: 0.5, LATER: 0.1, FIRST: 0.125, SECOND: 0.125}
"""How the photographs of a class are dealt. Every photograph goes to one part only."""

FOOTAGE: Final[Mapping[str, float]] = {FIRST: 0.5, SECOND: 0.5}

FEWEST_PER_CLASS: Final = 10
MOST: Final = 1200
"""Photographs that two cores get through in time; a larger folder is sampled."""
LONGEST_SIDE_PIXELS: Final = 512


@dataclass(frozen=True)
class Collection:
    """Every photograph of a run, dealt into parts."""

    labels: tuple[str, ...]
    parts: Mapping[str, tuple[Photo, ...]]

    @property
    def truth(self) -> dict[str, str]:
        """SHA-256 of a photograph's bytes to its class."""
        return {photo.digest: photo.label for part in self.parts.values() for photo in part}

    @property
    def truth_by_name(self) -> dict[str, str]:
        """The file name that a photograph has in the bucket and on a device, to its class."""
        return {photo.name: photo.label for part in self.parts.values() for photo in part}


def choose_files(folder: Path, seed: int) -> list[tuple[Path, str]]:
    """The files of a folder of class subfolders that a run looks at, with their classes.

    Raises:
        Refusal: the folder, a class of it, or the number of classes does not do.
    """
    classes = class_folders(folder)
    most = MOST // len(classes)
    if most < FEWEST_PER_CLASS:
        raise Refusal(f"{folder} has {len(classes)} classes; the demo takes up to {MOST // FEWEST_PER_CLASS}")
    chosen = []
    for where in classes:
        files = files_in(where)
        if len(files) < FEWEST_PER_CLASS:
            raise _too_few(where.name, len(files))
        files = tuple(sorted(files, key=lambda path: _shuffled(str(path.relative_to(folder)), seed)))
        chosen += [(path, where.name) for path in files[:most]]
    return chosen


def read_folder(folder: Path, seed: int, scratch: Path) -> tuple[Collection, tuple[Skipped, ...]]:
    """Read and deal somebody's photographs; large ones are scaled down into `scratch`.

    Raises:
        Refusal: as `choose_files`, or a class has too few photographs that can be read.
    """
    files = choose_files(folder, seed)
    copies = [scratch / f"{number}{path.suffix}" for number, (path, _) in enumerate(files)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        small = list(pool.map(shrink, (path for path, _ in files), copies))
    photos = read_photos(zip(small, (label for _, label in files), strict=True))
    originals = {copy: path for copy, (path, _) in zip(copies, files, strict=True)}
    skipped = tuple(Skipped(originals.get(skip.path, skip.path), skip.reason) for skip in photos.skipped)
    for label in sorted({label for _, label in files}):
        if (count := len(photos.of(label))) < FEWEST_PER_CLASS:
            raise _too_few(label, count)
    return Collection(photos.labels, deal(photos, SHARES, seed)), skipped


def read_drawn(folder: Path, seed: int) -> Collection:
    """Read and deal drawn scenes. Some of what devices see later is from another, harder site."""
    reef, wreck = (_read_classes(folder / site) for site in ("reef", "wreck"))
    parts, footage = deal(reef, SHARES, seed), deal(wreck, FOOTAGE, seed)
    return Collection(reef.labels, {part: parts[part] + footage.get(part, ()) for part in PARTS})


def deal(photos: Photos, shares: Mapping[str, float], seed: int) -> dict[str, tuple[Photo, ...]]:
    """Deal the photographs of each class by their content: the same photographs, the same parts.

    Every part gets at least one of each class, as long as there are as many photographs as parts.
    """
    dealt: dict[str, list[Photo]] = {part: [] for part in shares}
    for label in photos.labels:
        left = sorted(photos.of(label), key=lambda photo: _shuffled(photo.digest, seed))
        total = len(left)
        for part, share in sorted(shares.items(), key=lambda item: item[1]):
            count = max(1, round(total * share))
            dealt[part] += left[:count]
            left = left[count:]
        # Rounding leaves a few: they go to the largest part.
        dealt[max(shares, key=lambda part: shares[part])] += left
    return {part: tuple(found) for part, found in dealt.items()}


def shrink(path: Path, smaller: Path) -> Path:
    """A photograph small enough for the account on this machine: the file itself when it is, or a copy."""
    try:
        with Image.open(path) as image:
            if max(image.size) <= LONGEST_SIDE_PIXELS or image.format not in SUFFIXES:
                return path
            # JPEG decodes at an eighth to a half of its size at next to no cost.
            image.draft("RGB", (LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS))
            image.thumbnail((LONGEST_SIDE_PIXELS, LONGEST_SIDE_PIXELS))
            smaller.parent.mkdir(parents=True, exist_ok=True)
            image.save(smaller, "PNG" if image.format == "PNG" else "JPEG")
    # Pillow raises nearly anything; whoever reads the photograph next says what is wrong with it.
    except Exception:
        return path
    return smaller


def _read_classes(folder: Path) -> Photos:
    return read_photos([(path, where.name) for where in class_folders(folder) for path in files_in(where)])


def _too_few(label: str, count: int) -> Refusal:
    return Refusal(f"class {label!r} has {count} readable photographs; the demo needs {FEWEST_PER_CLASS} of each class")


def _shuffled(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
