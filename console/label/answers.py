"""Answers as Ground Truth's built-in tasks give them: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from console.errors import Refusal
from console.label.batch import Batch

# A person does not draw more; a page gone wrong might.
MOST_BOXES: Final = 1000
_EDGES: Final = ("left", "top", "width", "height")

Size = tuple[int, int]
"""Width and height of an image in pixels, as it is stored: its EXIF orientation is ignored, as it is in training."""


class AnswerInvalid(Exception):
    """The page sent something that is no answer to this object."""


_WORKER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def check_worker(name: str) -> str:
    """A worker's name, if it can be one.

    Raises:
        Refusal: it cannot.
    """
    if not _WORKER.fullmatch(name):
        raise Refusal(f"worker {name!r} is not a name: up to 64 letters, digits and . _ @ + -, a letter or digit first")
    return name


@dataclass(frozen=True)
class Worker:
    """Who answers. `identity` is what AWS says of the credentials."""

    name: str
    identity: Mapping[str, str]


def content(batch: Batch, given: Any, size: Size) -> dict[str, Any]:
    """The answerContent of what the page sent: a class name, or a list of boxes in pixels.

    Raises:
        AnswerInvalid: it is neither, names no category or leaves the image.
    """
    if batch.draws:
        return _drawn(batch, given, size)
    return {"crowd-image-classifier": {"label": _category(batch, given)}}


def _drawn(batch: Batch, given: Any, size: Size) -> dict[str, Any]:
    if not isinstance(given, list) or len(given) > MOST_BOXES:
        raise AnswerInvalid(f"an answer is a list of at most {MOST_BOXES} boxes")
    boxes = [{"label": _category(batch, box.get("label")), **_pixels(box, size)} for box in map(_mapping, given)]
    properties = dict(zip(("width", "height"), size, strict=True))
    return {"boundingBox": {"boundingBoxes": boxes, "inputImageProperties": properties}}


def _category(batch: Batch, given: Any) -> str:
    if not isinstance(given, str) or given not in batch.categories:
        raise AnswerInvalid(f"{str(given)[:60]!r} is none of the {len(batch.categories)} categories")
    return given


def _mapping(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise AnswerInvalid(f"{str(given)[:60]!r} is not a box")
    return given


def _pixels(box: Mapping[str, Any], size: Size) -> dict[str, int]:
    values = [box.get(name) for name in _EDGES]
    # bool is an int to Python, and no number of pixels.
    if not all(type(value) is int for value in values):
        raise AnswerInvalid(f"a box has {', '.join(_EDGES)} in whole pixels, got {values}")
    left, top, width, height = (value for value in values if isinstance(value, int))
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[0] or top + height > size[1]:
        raise AnswerInvalid(f"box {values} is not within the image of {size[0]} x {size[1]} pixels")
    return {"left": left, "top": top, "width": width, "height": height}


@dataclass(frozen=True)
class Spent:
    """When a person saw an object and answered; `seconds` is how long they had it before their eyes meanwhile."""

    accepted: datetime
    submitted: datetime
    seconds: float

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From the page's clock, which is this machine's own.

        Raises:
            AnswerInvalid: it has no such numbers.
        """
        try:
            accepted, submitted = (
                datetime.fromtimestamp(given[name] / 1000, UTC) for name in ("accepted", "submitted")
            )
            seconds = float(given["seconds"])
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise AnswerInvalid(f"an answer says when it was given: {error}") from error
        if not 0 <= seconds < float("inf"):
            raise AnswerInvalid(f"{seconds} seconds is no time to spend")
        return cls(min(accepted, submitted), submitted, seconds)


def response(worker: Worker, answer_content: Mapping[str, Any], spent: Spent) -> dict[str, Any]:
    """Ground Truth's worker response with this one answer."""
    answer = {
        "acceptanceTime": _iso(spent.accepted),
        "submissionTime": _iso(spent.submitted),
        "timeSpentInSeconds": round(spent.seconds, 3),
        "answerContent": answer_content,
        "workerId": worker.name,
        "workerMetadata": {"identityData": dict(worker.identity)},
    }
    return {"answers": [answer]}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
