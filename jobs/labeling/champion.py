"""A model package that was trained before, opened for scoring."""

import json
import tarfile
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
class Champion:
    """The model that serves now, proven on its own golden images."""

    version: str
    labels: list[str]
    pixels: int
    temperature: float
    session: Any
    input_name: str

    @classmethod
    def open(cls, tarball: Path, folder: Path) -> Self:
        """Unpack a model.tar.gz into `folder` and run its golden images.

        Raises:
            JobError: not a model package, or it does not answer as it did when it was trained.
        """
        try:
            with tarfile.open(tarball) as archive:
                archive.extractall(folder, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise JobError(f"the champion {tarball} cannot be unpacked: {error}") from None
        model = read_json(folder / "model.json")
        try:
            champion = cls(
                version=model["model_version"],
                labels=model["labels"],
                pixels=model["input"]["shape"][-1],
                temperature=model["temperature"],
                session=onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"]),
                input_name=model["input"]["name"],
            )
        except KeyError as error:
            raise JobError(f"the champion's model.json has no {error}") from None
        champion._check(folder / "golden")
        return champion

    def probabilities(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated probabilities of the labels for one decoded image."""
        scaled = self._logits(image).astype(np.float64) / self.temperature
        exponentials = np.exp(scaled - scaled.max())
        return np.asarray(exponentials / exponentials.sum())

    def _logits(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self.session.run(None, {self.input_name: images.as_input(image)})[0][0])

    def _check(self, golden: Path) -> None:
        for expected in json.loads((golden / "golden.json").read_text(encoding="utf-8")):
            logits = self._logits(images.load(golden / expected["image"], self.pixels))
            difference = float(np.abs(logits - np.asarray(expected["logits"], np.float32)).max())
            if not difference <= TOLERANCE:
                raise JobError(
                    f"the champion {self.version} is off by {difference:.2e} on its golden image {expected['image']}; "
                    f"at most {TOLERANCE} is allowed: the package is damaged or was made for another runtime"
                )
