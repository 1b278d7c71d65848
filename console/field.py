"""How often devices are right where they hang: their audit frames, drawn at random, against what people say of them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.table import Table

from console.clients import Clients
from console.tables import PlainTable, share
from reefloop import contracts as c

_Z: Final = 1.959964  # 95 % of a normal distribution
_READERS: Final = 16
_ABSENT: Final = frozenset({"NoSuchKey", "404"})


@dataclass(frozen=True)
class Audited:
    """One frame that was drawn from `of` others, what the model said of it and what a person says."""

    model: str
    label: str
    truth: str
    of: int


@dataclass(frozen=True)
class Accuracy:
    """The share of a device's frames that a model gets right, estimated, with its 95 % interval."""

    model: str
    frames: int
    share: float
    low: float
    high: float


def estimate(model: str, frames: Sequence[Audited]) -> Accuracy:
    """Weigh each frame by the number that it was drawn from, so that a busy hour counts for what it is.

    The interval is Wilson's, of the effective number of frames (sum of weights)^2 / sum of squared weights:
    L. Kish, Survey Sampling (1965), 11.2; E. B. Wilson, JASA 22 (1927), 209-212.

    Args:
        frames: at least one.
    """
    whole = sum(frame.of for frame in frames)
    right = sum(frame.of for frame in frames if frame.label == frame.truth) / whole
    effective = whole**2 / sum(frame.of**2 for frame in frames)
    spread = _Z**2 / effective
    middle = (right + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * sqrt(right * (1 - right) / effective + spread / (4 * effective))
    return Accuracy(model, len(frames), right, max(0.0, middle - half), min(1.0, middle + half))


def table(frames: Sequence[Audited]) -> Table:
    """A line for each model, in the order of their names."""
    found = PlainTable("field accuracy of", "audit frames that people labeled", "accuracy", "95 % interval")
    for model in sorted({frame.model for frame in frames}):
        one = estimate(model, [frame for frame in frames if frame.model == model])
        found.add(model, one.frames, share(one.share), f"{one.low:.1%} to {one.high:.1%}")
    if not frames:
        found.caption = "no frame that devices drew at random has a person's label: the accuracy is not known"
        found.caption_justify = "left"
    return found


@dataclass(frozen=True)
class Frames:
    """The frames of devices in the data bucket, and the labels that rounds gave them."""

    clients: Clients
    bucket: str

    def audited(self, rounds: Iterable[str]) -> list[Audited]:
        """The audit frames that people labeled in these rounds. What a machine labeled proves nothing of a machine."""
        truth = dict(pair for name in rounds for pair in self._labels(name))
        with ThreadPoolExecutor(_READERS) as pool:
            metadata = pool.map(self._metadata, truth)
            return [_audited(one, truth[key]) for key, one in zip(truth, metadata, strict=True) if _is_audit(one)]

    def rounds(self) -> list[str]:
        """Every round that there was."""
        pages = self.clients("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=c.ROUNDS, Delimiter="/")
        return [one["Prefix"].split("/")[1] for page in found for one in page.get("CommonPrefixes", [])]

    def _labels(self, round_: str) -> Iterator[tuple[str, str]]:
        """Key and class of each frame of a device that people labeled in a round."""
        try:
            answer = self.clients("s3").get_object(Bucket=self.bucket, Key=c.round_key(round_, "consolidated.manifest"))
        except ClientError as error:
            _demand_absent(error)
            return
        start = f"s3://{self.bucket}/"
        for line in map(json.loads, filter(None, answer["Body"].iter_lines())):
            said = line.get(f"{c.LABEL_ATTRIBUTE}-metadata", {})
            if line["source-ref"].startswith(f"{start}{c.IMAGES}edge/") and said.get("human-annotated") == "yes":
                yield line["source-ref"].removeprefix(start), said["class-name"]

    def _metadata(self, key: str) -> Mapping[str, str]:
        try:
            answer: Mapping[str, Any] = self.clients("s3").head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            _demand_absent(error)  # somebody deleted the frame
            return {}
        metadata: Mapping[str, str] = answer["Metadata"]
        return metadata


def _is_audit(metadata: Mapping[str, str]) -> bool:
    """Whether a frame was drawn at random; what a device writes is not taken on trust."""
    return metadata.get("reason") == "audit" and metadata.get("of", "").isdecimal() and int(metadata["of"]) > 0


def _audited(metadata: Mapping[str, str], truth: str) -> Audited:
    return Audited(metadata.get("model", ""), metadata.get("label", ""), truth, int(metadata["of"]))


def _demand_absent(error: ClientError) -> None:
    """
    Raises:
        ClientError: it says anything but that the object is not there.
    """
    if error.response["Error"]["Code"] not in _ABSENT:
        raise error
