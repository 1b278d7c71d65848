"""How far a compiled model agrees with its source, and how fast both are."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import images, manifest
from jobs.comparison.isolated import Beat
from jobs.comparison.runtimes import Array, Compiled, Loaded
from jobs.errors import JobError
from jobs.manifest import Entry
from jobs.model_package import ModelPackage
from jobs.paths import object_key

BATCH: Final = 256
"""As many pictures wait in memory."""
BLOCK: Final = 10
"""So many calls of one model follow each other, as on a device, which has one model's weights in its caches."""
BLOCKS: Final = 50
ENOUGH_SECONDS: Final = 20.0
"""After that a slow model is asked no more; every model answers one block."""
ABSOLUTE_TOLERANCE: Final = 0.05
RELATIVE_TOLERANCE: Final = 0.02
"""How far a golden image's logit may be off on a device, the sum of both: the classifier has the same."""
ONE_THREAD: Final = {"TVM_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""What the runtime of compiled models reads: https://github.com/apache/tvm/blob/main/src/runtime/threading_backend.cc"""


@dataclass(frozen=True)
class Split:
    """The test split: its manifest, and its images by their S3 key."""

    manifest: Path
    images: Path
    attribute: str


@dataclass
class Agreement:
    """Answers of both models to the same objects, counted; the labels of objects without one are nobody's answer."""

    objects: int = 0
    same: int = 0
    right: int = 0
    source_right: int = 0
    difference: float = 0.0
    deviation: float = 0.0
    """The largest difference as a share of the tolerance."""

    def add(self, compiled: Array, source: Array, truth: int | None = None) -> None:
        said, expected = int(compiled.argmax()), int(source.argmax())
        self.objects += 1
        self.same += said == expected
        self.right += said == truth
        self.source_right += expected == truth
        differences = np.abs(compiled - source)
        self.difference = max(self.difference, float(differences.max()))
        tolerances = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(source)
        self.deviation = max(self.deviation, float((differences / tolerances).max()))

    def share(self, count: int) -> float | None:
        """A share of the objects; None where there are none."""
        return count / self.objects if self.objects else None


def compared(beat: Beat, package: Path, compiled: Compiled, split: Split | None) -> dict[str, Any]:
    """What payloads.Parity says of the two models: agreement, accuracy, latency.

    Args:
        beat: called as the work goes on.
        package: the unpacked artifact.
        split: None where the model's dataset is gone.

    Raises:
        NoRuntime: the runtime of the compiled model does not start here.
        Unusable: the compiled model does not load or does not answer.
        JobError: the source model does not, or the test split cannot be read.
    """
    os.environ.update(ONE_THREAD)
    source = ModelPackage.read(package, called="model of the package")
    pictures = list(source.golden_images())
    if not pictures:
        raise JobError("the package has no golden image, without which no device takes it: train the model again")
    beat()
    model = compiled.load()
    golden = Agreement()
    for picture in pictures:
        beat()
        golden.add(model(images.as_input(picture)), source.logits(picture))
    tested = _tested(beat, model, source, split) if split else Agreement()
    inputs = [images.as_input(picture) for picture in pictures]
    times, source_times = _times(beat, inputs, model.model, _session_of(source))
    return {
        "runtime": model.runtime,
        "golden": golden.objects,
        "golden_agreement": golden.share(golden.same),
        "golden_deviation": golden.deviation,
        "difference": max(golden.difference, tested.difference),
        "objects": tested.objects,
        "agreement": tested.share(tested.same),
        "accuracy": tested.share(tested.right),
        "source_accuracy": tested.share(tested.source_right),
        "p50_ms": _percentile(times, 50),
        "p99_ms": _percentile(times, 99),
        "source_p50_ms": _percentile(source_times, 50),
        "source_p99_ms": _percentile(source_times, 99),
    }


def _tested(beat: Beat, model: Loaded, source: ModelPackage, split: Split) -> Agreement:
    found, index = Agreement(), {label: number for number, label in enumerate(source.labels)}
    for entry, picture, logits in _asked(source, manifest.read(split.manifest), split.images):
        beat()
        found.add(model(images.as_input(picture)), logits, index.get(entry.class_name(split.attribute)))
    return found


def _asked(
    source: ModelPackage, entries: Iterator[Entry], folder: Path
) -> Iterator[tuple[Entry, NDArray[np.uint8], Array]]:
    """The readable objects with the source model's answer, in order; decoded by all processors."""

    def ask(entry: Entry) -> tuple[NDArray[np.uint8], Array] | None:
        try:
            picture = images.load(folder / object_key(entry.source_ref), source.pixels)
        except images.UnreadableImage:
            return None  # the evaluation has counted them
        return picture, source.logits(picture)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(entries, BATCH)):
            for entry, answer in zip(batch, pool.map(ask, batch), strict=True):
                if answer:
                    yield entry, *answer


def _times(beat: Beat, inputs: list[Array], *models: Callable[[Array], Array]) -> list[list[float]]:
    """Milliseconds of single calls of each model: one block of each in turn, so that all see the same machine."""
    found: list[list[float]] = [[] for _ in models]
    end = time.perf_counter() + ENOUGH_SECONDS
    given = cycle(inputs)
    for model in models:
        model(inputs[0])
    for _ in range(BLOCKS):
        block = list(islice(given, BLOCK))
        for model, times in zip(models, found, strict=True):
            beat()
            for image in block:
                started = time.perf_counter()
                model(image)
                times.append(1000 * (time.perf_counter() - started))
        if time.perf_counter() > end:
            break
    return found


def _percentile(milliseconds: list[float], percent: int) -> float:
    return round(float(np.percentile(milliseconds, percent)), 4)


def _session_of(source: ModelPackage) -> Callable[[Array], Array]:
    """The source model asked for an input, as the compiled one is."""
    return lambda image: np.asarray(source.session.run(None, {source.input_name: image})[0], np.float32).reshape(-1)
