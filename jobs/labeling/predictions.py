"""Predictions: what a model says of every object, as lines that any reader of Ground Truth's output understands.

    {"source-ref": "s3://bucket/images/a.jpg", "content": "6d8f-1032", "fingerprint": "00c3...", "species": 3,
     "species-metadata": {"class-name": "crab", "confidence": 0.98, "type": "groundtruth/image-classification",
     "job-name": "model/<version>", "human-annotated": "no", "creation-date": "2026-01-31T12:00:00.000000",
     "runner-up": "squid", "margin": 0.97, "probabilities": {"crab": 0.98, "squid": 0.01, ...}}}

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html (image classification job output)

The model, the image and the round decide a line: neither the time at which a job runs nor the other images that its
instance has. So a shard that is scored again gives the same bytes, and any number of instances the same lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.manifest import METADATA, Entry

FILE: Final = "predictions.manifest"
"""Every readable object of the pool, gold aside. Without a model the lines have no label."""


@dataclass(frozen=True)
class Opinion:
    """A model's label, how sure it is of it and how much surer than of the next."""

    label: str
    confidence: float
    runner_up: str
    margin: float
    probabilities: dict[str, float]
    """Calibrated, by class in the model's order, to 6 digits."""

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], labels: Sequence[str]) -> Self:
        second, first = np.argsort(probabilities, kind="stable")[-2:].tolist()
        return cls(
            label=labels[first],
            confidence=float(probabilities[first]),
            runner_up=labels[second],
            margin=float(probabilities[first] - probabilities[second]),
            probabilities={name: round(value, 6) for name, value in zip(labels, probabilities.tolist(), strict=True)},
        )


@dataclass(frozen=True)
class Labeler:
    """A model as one who labels: what stands in its labels apart from the opinion."""

    attribute: str
    categories: Sequence[str]
    model_version: str
    created: datetime
    """When the round listed its pool. The time of the scoring would make of the same prediction another line."""

    def labeled(self, values: Mapping[str, Any], name: str, confidence: float) -> dict[str, Any]:
        """The line with the model's label. A class that is no category any more has the number after theirs."""
        names = self.categories if name in self.categories else [*self.categories, name]
        return manifest.labeled(
            values,
            self.attribute,
            list(names),
            name,
            by_human=False,
            confidence=confidence,
            job_name=f"model/{self.model_version}",
            now=self.created,
        )

    def predicted(self, values: Mapping[str, Any], opinion: Opinion) -> dict[str, Any]:
        """The line with the label and all that the model said."""
        line = self.labeled(values, opinion.label, opinion.confidence)
        line[self.attribute + METADATA] |= {
            "confidence": opinion.confidence,
            "runner-up": opinion.runner_up,
            "margin": opinion.margin,
            "probabilities": opinion.probabilities,
        }
        return line


def read(entry: Entry, attribute: str) -> Opinion | None:
    """What a line of predictions.manifest says, None when no model was asked.

    Raises:
        JobError: a prediction that is none, naming file and line.
    """
    if attribute + METADATA not in entry.values:
        return None
    about = entry.metadata(attribute)
    return Opinion(
        label=entry.class_name(attribute),
        confidence=_share(entry, about, "confidence"),
        runner_up=str(about.get("runner-up")),
        margin=_share(entry, about, "margin"),
        probabilities=about.get("probabilities", {}),
    )


def _share(entry: Entry, about: Mapping[str, Any], name: str) -> float:
    value = about.get(name)
    if not isinstance(value, float | int) or not 0 <= value <= 1:
        raise entry.error(f"needs a number from 0 to 1 in {name!r}, got {value!r}")
    return value
