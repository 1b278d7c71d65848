"""A model that has proved itself on this device, and what it says of a frame."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from classifier import preprocess
from classifier.frames import Frame, Unreadable
from classifier.models import runtimes
from classifier.models.package import Golden, Package, Refused, read, verify
from classifier.models.runtimes import Array, Runtime

ABSOLUTE_TOLERANCE: Final = 0.05
RELATIVE_TOLERANCE: Final = 0.02
"""How far a logit may be from the expected one, the sum of both. Compilers fold, fuse and lower precision; a wrong
model is off by far more, and the winning label must be the same in any case."""


@dataclass(frozen=True)
class Answer:
    """What a model says of one frame."""

    label: str
    """The likeliest."""
    probability: float
    """Calibrated."""
    margin: float
    """How much less likely the second label is."""
    entropy: float
    """Of all labels, as a share of the largest that there can be: 0 is certain, 1 knows nothing."""
    unsure: bool
    """The probability is below the bound that the model's training found."""
    unknown: bool
    """This is like nothing that the model was trained on: its label means nothing."""


class Model:
    """`runtime` names what executes it, `notes` tells of better runtimes that failed. Asked by one thread at a time."""

    def __init__(self, package: Package, runtime: str, run: Runtime, *, notes: str = "") -> None:
        self.package, self.runtime, self.notes, self._run = package, runtime, notes, run
        self._shape, self._labels, self._unsure_below = package.shape, package.labels, package.uncertain_below
        self._scale, self._temperature = 1 / package.temperature, package.temperature
        self._largest_entropy = math.log(len(package.labels)) or 1.0
        bound = package.unknown_above_energy
        self._unknown_above = math.inf if bound is None else bound

    def classify(self, frame: Frame) -> Answer:
        """Classify one frame.

        Raises:
            Unreadable: it is no image.
        """
        return self.judge(self._run(preprocess.to_input(frame, self._shape)))

    def judge(self, logits: Array) -> Answer:
        """What logits say, one per label.

        The energy is -T logsumexp(z / T): W. Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020,
        https://arxiv.org/abs/2010.03759, with the temperature T of the calibration.
        """
        values = logits.astype(np.float64)
        values *= self._scale
        best = int(values.argmax())
        top = float(values[best])
        values -= top
        weights = np.exp(values)
        total = float(weights.sum())
        mean = float(weights @ values) / total
        weights[best] = 0.0
        log_total = math.log(total)
        probability = 1 / total
        return Answer(
            label=self._labels[best],
            probability=probability,
            margin=(1 - float(weights.max())) / total,
            entropy=(log_total - mean) / self._largest_entropy,
            unsure=probability < self._unsure_below,
            unknown=-self._temperature * (top + log_total) > self._unknown_above,
        )


def load(folder: Path, runtime: str, *, threads: int, notes: str = "") -> Model:
    """Verify and read a package, load it on the runtime of this name, and run its golden images once.

    In this process: a runtime that ends or stops it is not caught. `prove` finds such ones first.

    Raises:
        Refused: it is damaged, does not load, or gives other answers than expected.
        OSError: the disk cannot read it.
    """
    verify(folder)
    package = read(folder)
    run = runtimes.load(runtime, package, threads=threads)
    for golden in package.tried:
        check(run, package, golden)
    return Model(package, runtime, run, notes=notes)


def golden_input(package: Package, golden: Golden) -> Array:
    """
    Raises:
        Refused: the golden image is none.
        OSError: the disk cannot read it.
    """
    try:
        frame = Frame(golden.image.name, 0.0, content=golden.image.read_bytes())
        return preprocess.to_input(frame, package.shape)
    except Unreadable as error:
        raise Refused(f"golden image {golden.image.name} cannot be read: {error}") from None


def check(run: Runtime, package: Package, golden: Golden) -> None:
    """Have a golden image classified.

    Raises:
        Refused: the label is another than the expected one, or a logit is too far off.
    """
    name, image = golden.image.name, golden_input(package, golden)
    try:
        found = run(image)
    # As with loading: whatever a runtime raises, it does not run this model.
    except Exception as error:
        raise Refused(f"fails on {name}: {error}") from None
    expected = np.asarray(golden.logits, dtype=np.float32)
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise Refused(f"{name}: {found.size} outputs for {expected.size} labels, or outputs that are not numbers")
    if found.argmax() != expected.argmax():
        labels = package.labels
        raise Refused(f"{name} is {labels[int(found.argmax())]!r}; expected {labels[int(expected.argmax())]!r}")
    difference = np.abs(found - expected)
    if not (difference <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(expected)).all():
        raise Refused(f"{name}: a logit is off by {float(difference.max()):.3g}")
