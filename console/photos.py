"""Reads folders of photographs: what is an image, what is not and why, and which class each belongs to."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from console.errors import Refusal

SUFFIXES: Final[Mapping[str, str]] = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}
"""What Ground Truth shows to people, by Pillow's format name; MPO is a JPEG with more pictures behind the first one, as
many phones write it: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-supported-data-formats.html"""

LARGEST_BYTES: Final = 40 * 1024**2
"""Ground Truth's limit: https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html"""
# The jobs and the device have the same rules: what is brought must be seen by all.
DEEP: Final = ("I", "F")
"""Grey values of 16 bits and more, by Pillow's modes; it keeps 0 to 255 of them and makes the rest white."""
MAXIMUM_PIXELS: Final = 64_000_000
"""Ground Truth would take 100 million."""
MAXIMUM_SCANNED: Final = 2_000_000_000
"""Pixels times scans of a JPEG, each of which passes over the whole picture."""
START_OF_SCAN: Final = b"\xff\xda"


@dataclass(frozen=True)
class Photo:
    """One readable image. `digest` is the SHA-256 of its bytes; `label` is "" where nobody said what it shows."""

    path: Path
    digest: str
    suffix: str
    label: str = ""

    @property
    def name(self) -> str:
        """A file name that depends on the content alone and gives nothing away about the class."""
        return f"{self.digest[:16]}{self.suffix}"


@dataclass(frozen=True)
class Skipped:
    path: Path
    reason: str


@dataclass(frozen=True)
class Photos:
    """What a folder held. `photos` are sorted by content and hold each content once."""

    photos: tuple[Photo, ...]
    skipped: tuple[Skipped, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({photo.label for photo in self.photos}))

    def of(self, label: str) -> tuple[Photo, ...]:
        return tuple(photo for photo in self.photos if photo.label == label)


def class_folders(folder: Path) -> tuple[Path, ...]:
    """The class subfolders of a folder, sorted by name.

    Raises:
        Refusal: the folder is missing, is not a folder, or has fewer than two class subfolders.
    """
    if not folder.is_dir():
        raise Refusal(f"{folder} is not a folder: name a folder that has one subfolder of photographs per class")
    found = tuple(sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not found:
        raise Refusal(f"{folder} has no class subfolders: put each class's photographs into one of its own")
    if len(found) == 1:
        raise Refusal(f"{folder} has one class only, {found[0].name!r}: telling classes apart needs at least two")
    for path in found:
        if len(path.name) > 256:
            raise Refusal(f"class {path.name[:40]!r}… has {len(path.name)} characters; a label may have 256")
    return found


def files_in(folder: Path) -> tuple[Path, ...]:
    """Every file below a folder, hidden ones and those in hidden folders left out, sorted by path."""
    found = []
    for where, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(where, name) for name in names if not name.startswith(".")]
    return tuple(sorted(found))


def read_photo(path: Path, label: str = "") -> Photo | Skipped:
    """Decode one file in full: a photograph that cannot be decoded here cannot be trained on either."""
    try:
        if (size := path.stat().st_size) > LARGEST_BYTES:
            return Skipped(path, f"has {size} bytes; {LARGEST_BYTES} are allowed")
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata and of sizes; the checks here decide
            with Image.open(path) as image:
                if reason := _refusal(image, content):
                    return Skipped(path, reason)
                image.convert("RGB")
                suffix = SUFFIXES[str(image.format)]
    # Pillow's decoders raise nearly anything on bytes that are not an image.
    except Exception as error:
        return Skipped(path, f"cannot be read: {str(error).replace(str(path), path.name) or type(error).__name__}")
    return Photo(path, hashlib.sha256(content).hexdigest(), suffix, label)


def _refusal(image: Image.Image, content: bytes) -> str:
    """Why an image is not taken, before it is decoded; "" when it is."""
    pixels = image.width * image.height
    if image.format not in SUFFIXES:
        return f"is {image.format}; JPEG and PNG are allowed"
    if pixels > MAXIMUM_PIXELS:
        return f"has {image.width} x {image.height} pixels; {MAXIMUM_PIXELS} are allowed"
    if image.mode.startswith(DEEP):
        return f"has more than 8 bits per channel ({image.mode}), which would be cut off: convert it"
    if image.format != "PNG" and pixels * (scans := content.count(START_OF_SCAN)) > MAXIMUM_SCANNED:
        return f"is a JPEG of {scans} scans of {pixels} pixels, which takes too long to decode: save it anew"
    return ""


def read_photos(files: Iterable[tuple[Path, str]]) -> Photos:
    """Decode files, each given with its label.

    The same content is kept once; content that appears under two labels says nothing and is skipped.
    """
    # Pillow lets go of the interpreter while it decodes, so threads do help.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = list(pool.map(lambda file: read_photo(*file), files))
    skipped = [result for result in results if isinstance(result, Skipped)]
    by_digest: dict[str, list[Photo]] = {}
    for result in results:
        if isinstance(result, Photo):
            by_digest.setdefault(result.digest, []).append(result)
    photos = []
    for digest in sorted(by_digest):
        first, *others = by_digest[digest]
        labels = sorted({photo.label for photo in by_digest[digest]})
        if len(labels) > 1:
            reason = f"lies in several classes: {', '.join(labels)}"
            skipped += [Skipped(photo.path, reason) for photo in by_digest[digest]]
            continue
        photos.append(first)
        skipped += [Skipped(photo.path, f"has the same content as {first.path.name}") for photo in others]
    return Photos(tuple(photos), tuple(skipped))
