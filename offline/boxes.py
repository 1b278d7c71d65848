"""Bounding boxes in pixels of an image: how much two cover the same, which of two sets belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Box:
    """An axis-parallel rectangle around a thing of class `label`."""

    label: str
    left: float
    top: float
    width: float
    height: float

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """From a worker's answer, which has these names: {"label", "left", "top", "width", "height"}."""
        return cls(str(fields["label"]), *(float(fields[name]) for name in ("left", "top", "width", "height")))

    def rounded(self) -> dict[str, Any]:
        """As crowd-bounding-box submits it: whole pixels."""
        return {name: round(value) if name != "label" else value for name, value in sorted(asdict(self).items())}


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0.0, wide) * max(0.0, high)
    covered = one.width * one.height + other.width * other.height - shared
    return shared / covered if covered > 0 else 0.0


def matches(ones: Sequence[Box], others: Sequence[Box], least: float) -> list[tuple[int, int]]:
    """Pairs of indices that overlap by at least `least`, the best first, each box in one pair at most."""
    found = sorted(
        ((overlap(one, other), i, j) for i, one in enumerate(ones) for j, other in enumerate(others)), reverse=True
    )
    pairs: list[tuple[int, int]] = []
    for share, i, j in found:
        if share >= least and all(i != first and j != second for first, second in pairs):
            pairs.append((i, j))
    return pairs


def same(ones: Sequence[Box], others: Sequence[Box], least: float) -> bool:
    """Whether both sets name the same things at the same places."""
    pairs = matches(ones, others, least)
    return len(pairs) == len(ones) == len(others) and all(ones[i].label == others[j].label for i, j in pairs)
