"""What people drew, by number: all boxes of all answers in one column, so that a round of drawings stays small."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobs.labeling.patterns import Floats, Indices
from jobs.manifest import METADATA, Entry

SIDES = ("left", "top", "width", "height")
_FIELDS = 5


@dataclass(frozen=True)
class Drawing:
    """The boxes of one answer to one image."""

    classes: Indices
    boxes: Floats
    """[box, side]: left, top, right, bottom in pixels."""

    @classmethod
    def of(cls, rows: Iterable[Sequence[float]]) -> "Drawing":
        """From rows of class, left, top, right, bottom."""
        table = np.array(list(rows), np.float64).reshape(-1, _FIELDS)
        return cls(table[:, 0].astype(np.intp), table[:, 1:])


@dataclass
class Drawings:
    """Answers that are boxes, each a number from 0 on."""

    _values: "array[float]" = field(default_factory=lambda: array("d"))
    _ends: "array[int]" = field(default_factory=lambda: array("q"))
    _sizes: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, rows: Iterable[Sequence[float]], size: tuple[int, int]) -> int:
        """Enter a drawing on an image of this width and height (0, 0 where nobody noted it); its number."""
        for row in rows:
            self._values.extend(row)
        self._ends.append(len(self._values))
        self._sizes.extend(size)
        return len(self._ends) - 1

    def size(self, number: int) -> tuple[int, int]:
        return self._sizes[2 * number], self._sizes[2 * number + 1]

    def __getitem__(self, number: int) -> Drawing:
        start = self._ends[number - 1] if number else 0
        values = np.array(self._values[start : self._ends[number]])
        return Drawing.of(values.reshape(-1, _FIELDS))


def rows_of(boxes: Any, numbers: Mapping[str, int]) -> list[tuple[float, ...]] | None:
    """Rows of class, left, top, right, bottom from the boxes of an answer; None when one names no category.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-ui-template-crowd-bounding-box.html

    Raises:
        KeyError, TypeError, ValueError: not a list of boxes.
    """
    rows: list[tuple[float, ...]] = []
    for box in boxes:
        left, top, width, height = (float(box[side]) for side in SIDES)
        if not all(map(math.isfinite, (left, top, width, height))) or width < 0 or height < 0:
            raise ValueError(f"no box: {box!r}")
        if not isinstance(box["label"], str):
            raise TypeError(f"label {box['label']!r}")
        rows.append((float(numbers.get(box["label"], -1)), left, top, left + width, top + height))
    return None if any(row[0] < 0 for row in rows) else rows


def drawn_in(entry: Entry, attribute: str, numbers: Mapping[str, int]) -> Drawing:
    """The boxes of a labeled line.

    Raises:
        JobError: naming the line, when it has no boxes or one of an unknown class.
    """
    label, names = entry.values.get(attribute), entry.metadata(attribute).get("class-map")
    try:
        boxes = [{**box, "label": names[str(box["class_id"])]} for box in label["annotations"]]  # type: ignore[index]
        rows = rows_of(boxes, numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise entry.error(
            f"needs boxes in {attribute!r} and their classes in the class-map of {attribute + METADATA!r}: {error!r}"
        ) from None
    if rows is None:
        raise entry.error(f"has a box of an unknown class; known are {', '.join(numbers)}")
    return Drawing.of(rows)


def described(drawing: Drawing, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """The boxes as an answer has them."""
    return [
        {
            "label": class_names[number],
            **dict(zip(SIDES, (left, top, right - left, bottom - top), strict=True)),
        }
        for number, (left, top, right, bottom) in zip(drawing.classes.tolist(), drawing.boxes.tolist(), strict=True)
    ]
