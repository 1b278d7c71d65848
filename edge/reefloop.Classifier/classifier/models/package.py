"""A model package on disk: what must be in it, and proof that it arrived whole.

model.onnx labels.json model.json package.json golden/ compiled/ SHA256SUMS
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from classifier.policy.sighting import LONGEST_LABEL

SUMS = "SHA256SUMS"
MOST_TRIED = 32
"""Golden images. There is one per class: a slow model of a thousand classes would be proved for an hour."""
REQUIRED = ("model.onnx", "labels.json", "model.json", "package.json", "golden/golden.json")


class Refused(Exception):
    """A package that must not serve; the message says what is wrong with it."""


@dataclass(frozen=True)
class Golden:
    """An image whose logits are known."""

    image: Path
    logits: tuple[float, ...]


@dataclass(frozen=True)
class Package:
    """What a package says about its model. `shape` is (1, 3, height, width)."""

    folder: Path
    version: str
    target: str
    labels: tuple[str, ...]
    input_name: str
    shape: tuple[int, int, int, int]
    output: str
    temperature: float
    uncertain_below: float
    golden: tuple[Golden, ...]
    unknown_above_energy: float | None = None
    """What has a higher energy than this is like nothing that the model was trained on; None knows no such bound."""

    @property
    def tried(self) -> tuple[Golden, ...]:
        """The golden images that prove the model on this device: all, or `MOST_TRIED` that are spread evenly."""
        count = min(len(self.golden), MOST_TRIED)
        return tuple(self.golden[number * len(self.golden) // count] for number in range(count))


def fingerprint(folder: Path) -> str:
    """What tells one package from another: the digest of its sums.

    Raises:
        Refused: there are no sums.
        OSError: the disk cannot read them.
    """
    try:
        return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()[:32]
    except FileNotFoundError as error:
        raise Refused(f"{SUMS} cannot be read: {error}") from None


def claimed_version(folder: Path) -> str:
    """The model version that a package names, however broken the rest of it is."""
    for name in ("model.json", "package.json"):
        try:
            claimed = str(json.loads((folder / name).read_bytes())["model_version"])[:LONGEST_LABEL]
            return claimed.encode(errors="replace").decode()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return "unknown"


def verify(folder: Path) -> None:
    """Check every file against SHA256SUMS.

    Raises:
        Refused: a file is missing, differs, or is not listed.
        OSError: the disk cannot read one.
    """
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise Refused(f"{SUMS} cannot be read: {error}") from None
    sums = {}
    for line in filter(None, lines):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise Refused(f"{SUMS} has the line {line!r}; expected a SHA-256, two blanks and a path inside the package")
        sums[name] = digest
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {SUMS}
    if missing := sorted((set(sums) | set(REQUIRED)) - present):
        raise Refused(f"{missing[0]} is missing")
    if unlisted := sorted(present - set(sums)):
        raise Refused(f"{unlisted[0]} is not listed in {SUMS}")
    for name, expected in sums.items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise Refused(f"{name} has the SHA-256 {found}; {SUMS} says {expected}")


def read(folder: Path) -> Package:
    """What the package says about itself.

    Raises:
        Refused: a file says something that no model of this component can be.
        OSError: the disk cannot read one.
    """
    model, labels, package = (_json(folder, name) for name in ("model.json", "labels.json", "package.json"))
    try:
        shape = tuple(model["input"]["shape"])
        golden = tuple(
            Golden(folder / "golden" / PurePosixPath(entry["image"]).name, tuple(map(float, entry["logits"])))
            for entry in _json(folder, "golden/golden.json")
        )
        read_ = Package(
            folder=folder,
            version=str(model["model_version"]),
            target=str(package["target"]),
            labels=tuple(map(str, labels)),
            input_name=str(model["input"]["name"]),
            shape=shape,  # checked below
            output=str(model["output"]),
            temperature=float(model["temperature"]),
            uncertain_below=float(model["uncertain_below"]),
            golden=golden,
            unknown_above_energy=_optional(model.get("unknown_above_energy")),
        )
        "".join((read_.version, read_.target, *read_.labels)).encode()  # half a surrogate pair is in no message
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Refused(f"model.json, labels.json, package.json or golden.json is malformed: {error!r}") from None
    _check(read_, model)
    return read_


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _check(package: Package, model: Mapping[str, Any]) -> None:
    shape = model["input"]["shape"]
    if len(shape) != 4 or list(shape[:2]) != [1, 3] or not all(isinstance(side, int) and side > 0 for side in shape):
        raise Refused(f"the input shape is {shape}; this component feeds [1, 3, height, width]")
    if not package.labels or len(set(package.labels)) != len(package.labels):
        raise Refused(f"labels.json must name at least one label, each once; it has {list(package.labels)}")
    for text in (package.version, package.target):
        if len(text) > LONGEST_LABEL:
            raise Refused(f"{text[:80]!r}... has {len(text)} characters; messages have room for {LONGEST_LABEL}")
    if not 0 < package.temperature < math.inf:
        raise Refused(f"temperature is {package.temperature}; it must be above 0")
    if not 0 <= package.uncertain_below <= 1:
        raise Refused(f"uncertain_below is {package.uncertain_below}; it must be between 0 and 1")
    if package.unknown_above_energy is not None and not math.isfinite(package.unknown_above_energy):
        raise Refused(f"unknown_above_energy is {package.unknown_above_energy}; it must be a number, or be left out")
    if not package.golden:
        raise Refused("golden.json names no image: nothing proves that the model works on this device")
    for golden in package.golden:
        if not golden.image.is_file():
            raise Refused(f"golden image {golden.image.name} is missing")
        if len(golden.logits) != len(package.labels):
            raise Refused(f"{golden.image.name} has {len(golden.logits)} logits for {len(package.labels)} labels")


def _json(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise Refused(f"{name} cannot be read: {error}") from None
