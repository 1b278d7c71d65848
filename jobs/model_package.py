"""A model package that training wrote, opened to be asked: what the loop ships, read as a device reads it."""

import gzip
import json
import math
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from jobs import images
from jobs.errors import JobError
from jobs.paths import read_json

TOLERANCE: Final = 1e-3
"""Logits may differ by this much from those that the training recorded, on another processor."""


@dataclass(frozen=True)
class ModelPackage:
    """A model proven on its own golden images. Any number of threads may ask it at once."""

    folder: Path
    """Where its files lie."""
    card: dict[str, Any]
    """The content of model.json."""
    version: str
    labels: list[str]
    pixels: int
    temperature: float
    session: Any
    input_name: str

    @classmethod
    def open(cls, tarball: Path, folder: Path, *, called: str = "champion") -> Self:
        """Unpack a model.tar.gz into `folder` and run its golden images.

        Args:
            called: what messages call it.

        Raises:
            JobError: not a model package, or it does not answer as it did when it was trained.
        """
        try:
            with tarfile.open(tarball) as archive:
                archive.extractall(folder, filter="data")
        except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
            raise JobError(f"the {called} {tarball} cannot be unpacked: {error}") from None
        return cls.read(folder, called=called)

    @classmethod
    def read(cls, folder: Path, *, called: str = "champion") -> Self:
        """Load what was unpacked into `folder` and run its golden images.

        Raises:
            JobError: not a model package, or it does not answer as it did when it was trained.
        """
        card = read_json(folder / "model.json")
        try:
            package = cls(
                folder=folder,
                card=card,
                version=card["model_version"],
                labels=card["labels"],
                pixels=card["input"]["shape"][-1],
                temperature=float(card["temperature"]),
                session=_session(folder / "model.onnx"),
                input_name=card["input"]["name"],
            )
            golden = package._golden()
        except KeyError as error:
            raise JobError(f"the {called}'s model.json has no {error}: train it again") from None
        # ONNX Runtime has an exception class for each of its status codes, below no common one.
        except Exception as error:
            raise JobError(f"the {called} in {folder} cannot be opened: {error}: train it again") from None
        answers = package.session.get_outputs()[0].shape[-1]
        if answers != len(package.labels) or not 0 < package.temperature < math.inf:
            raise JobError(
                f"the {called} {package.version} has {len(package.labels)} labels for {answers} answers and the "
                f"temperature {package.temperature}, which must be above 0: train it again"
            )
        package._check(golden, called)
        return package

    def probabilities(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated probabilities of the labels for one decoded image."""
        scaled = self.logits(image).astype(np.float64) / self.temperature
        exponentials = np.exp(scaled - scaled.max())
        return np.asarray(exponentials / exponentials.sum())

    def logits(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's answer to one decoded image of its size: float32 [labels]."""
        return np.asarray(self.session.run(None, {self.input_name: images.as_input(image)})[0][0])

    def golden_images(self) -> Iterator[NDArray[np.uint8]]:
        """The images whose logits the training recorded, as the model takes them."""
        for expected in self._golden():
            yield images.load(self.folder / "golden" / expected["image"], self.pixels)

    def _golden(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / "golden" / "golden.json").read_text(encoding="utf-8"))
        return found

    def _check(self, golden: list[dict[str, Any]], called: str) -> None:
        for expected in golden:
            try:
                image = images.load(self.folder / "golden" / expected["image"], self.pixels)
            except images.UnreadableImage as error:
                raise JobError(
                    f"the {called} {self.version} has a golden image that cannot be read, {expected['image']}: {error}"
                ) from None
            with np.errstate(invalid="ignore"):
                difference = float(np.abs(self.logits(image) - np.asarray(expected["logits"], np.float32)).max())
            # A comparison with NaN is false, so ask for what must hold.
            if not difference <= TOLERANCE:
                raise JobError(
                    f"the {called} {self.version} is off by {difference:.2e} on its golden image {expected['image']}; "
                    f"at most {TOLERANCE} is allowed: the package is damaged or was made for another runtime"
                )


def _session(path: Path) -> Any:
    """One thread per call: the input is one picture, so many calls at once use a processor better than one on all of
    its cores, and the sums are added up in the same order on every machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: they are raised as well
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
