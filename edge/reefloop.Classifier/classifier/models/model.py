"""A model that has proved itself on this device: loaded on the best runtime whose answers are the expected ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier import preprocess
from classifier.models import runtimes
from classifier.models.package import Package, Refused, read, verify
from classifier.models.runtimes import Array, Candidate, Runtime
from classifier.source import Unreadable

# How far a logit may be from the expected one. Compilers fold, fuse and lower precision; a wrong model is off by far
# more, and the winning label must be the same in any case.
ABSOLUTE_TOLERANCE = 0.05
RELATIVE_TOLERANCE = 0.02


@dataclass(frozen=True)
class Answer:
    """The best label of a frame and its calibrated probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Model:
    """`notes` tells of better runtimes that failed; empty when the best one serves."""

    package: Package
    runtime: str
    notes: str
    _run: Runtime

    def classify(self, content: bytes) -> Answer:
        """Classify one image.

        Raises:
            Unreadable: these bytes are no image.
        """
        logits = self._run(preprocess.to_input(content, self.package.shape))
        scaled = logits.astype(np.float64) / self.package.temperature
        exponentials = np.exp(scaled - scaled.max())
        best = int(exponentials.argmax())
        return Answer(self.package.labels[best], float(exponentials[best] / exponentials.sum()))


def load(folder: Path, *, threads: int) -> Model:
    """Verify, read, load and self-test a package.

    Raises:
        Refused: it is damaged, or no runtime gives the expected answers.
    """
    verify(folder)
    package = read(folder)
    failures = []
    ways = runtimes.candidates(folder, input_name=package.input_name, output=package.output, threads=threads)
    for candidate in ways:
        try:
            run = _proved(candidate, package)
        except Refused as error:
            failures.append(f"{candidate.name}: {error}")
            continue
        return Model(package, candidate.name, "; ".join(failures), run)
    raise Refused("; ".join(failures))


def _proved(candidate: Candidate, package: Package) -> Runtime:
    try:
        run = candidate.load()
    # A runtime raises its own kinds of errors on a bad file; whichever it is, this way to run the model is out.
    except Exception as error:
        raise Refused(f"does not load: {error}") from None
    for golden in package.golden:
        try:
            found = run(preprocess.to_input(golden.image.read_bytes(), package.shape))
        except Unreadable as error:
            raise Refused(f"golden image {golden.image.name} cannot be read: {error}") from None
        except Exception as error:
            raise Refused(f"fails on {golden.image.name}: {error}") from None
        _compare(golden.image.name, found, np.asarray(golden.logits, dtype=np.float32), package.labels)
    return run


def _compare(name: str, found: Array, expected: Array, labels: tuple[str, ...]) -> None:
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise Refused(f"{name}: {found.size} outputs for {expected.size} labels, or outputs that are not numbers")
    if found.argmax() != expected.argmax():
        raise Refused(f"{name} is {labels[int(found.argmax())]!r}; expected {labels[int(expected.argmax())]!r}")
    difference = np.abs(found - expected)
    if (difference > ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(expected)).any():
        raise Refused(f"{name}: a logit is off by {float(difference.max()):.3g}")
