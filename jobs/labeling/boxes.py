"""Boxes that several people drew around the same things: which belong together, and where the thing is.

Boxes are rows of left, top, right, bottom in pixels.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.labeling.patterns import Floats, Indices

SAME: Final = 0.5
"""Boxes that overlap by so much (intersection over union) show the same thing, as in M. Everingham et al., "The PASCAL
Visual Object Classes Challenge", 2010, https://doi.org/10.1007/s11263-009-0275-4, section 4.2."""


def overlaps(ones: Floats, others: Floats) -> Floats:
    """[one, other]: intersection over union, 0 to 1."""
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(2)
    covered = _areas(ones)[:, None] + _areas(others)[None, :] - shared
    return np.asarray(np.divide(shared, covered, out=np.zeros_like(shared), where=covered > 0))


def groups(boxes: Floats, owners: NDArray[np.integer]) -> Indices:
    """[box]: the number of the thing that it shows. A thing has at most one box of an owner.

    The two boxes that overlap most are one thing, then the next two, and so on (agglomeration by single links), as
    long as they overlap by SAME and no owner would have two boxes in it.
    """
    found = np.arange(len(boxes))
    near = np.triu(overlaps(boxes, boxes), 1)
    ones, others = np.nonzero(near >= SAME)
    for pair in np.argsort(-near[ones, others], kind="stable").tolist():
        one, other = found[ones[pair]], found[others[pair]]
        if one != other and not set(owners[found == one].tolist()) & set(owners[found == other].tolist()):
            found[found == other] = one
    return np.asarray(np.unique(found, return_inverse=True)[1])


def same_things(ones: Floats, one_classes: Indices, others: Floats, other_classes: Indices) -> bool:
    """Whether both sets show the same things: each box has its counterpart, by SAME and of the same class."""
    if len(ones) != len(others):
        return False
    if not len(ones):
        return True
    near = overlaps(ones, others)
    left, right = set(range(len(ones))), set(range(len(others)))
    for pair in np.argsort(-near, axis=None, kind="stable").tolist():
        one, other = divmod(pair, len(others))
        if near[one, other] < SAME:
            break
        if one in left and other in right:
            if one_classes[one] != other_classes[other]:
                return False
            left.remove(one)
            right.remove(other)
    return not left


def middle(boxes: Floats, weights: Floats) -> Floats:
    """The box whose sides are the weighted medians of the boxes' sides: one wild box moves it little."""
    order = np.argsort(boxes, axis=0, kind="stable")
    below = np.cumsum(weights[order], axis=0) / weights.sum()
    sides = np.take_along_axis(boxes, order, axis=0)
    # Half of the weight is reached at the median; reached exactly, it lies between this box and the next.
    at = np.argmax(below >= 0.5 - 1e-9, axis=0)
    beside = np.where(np.abs(np.take_along_axis(below, at[None], 0)[0] - 0.5) < 1e-9, at + 1, at)
    beside = np.minimum(beside, len(boxes) - 1)
    return np.asarray((np.take_along_axis(sides, at[None], 0)[0] + np.take_along_axis(sides, beside[None], 0)[0]) / 2)


def _areas(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
