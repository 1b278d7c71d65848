"""Which of many fingerprints are near each other, and how their splits follow from it.

Comparing all pairs of a million fingerprints is out of reach. Two that differ in at most NEAR bits agree completely in
one of NEAR + 1 groups of bits (the pigeonhole principle), so it is enough to sort by each group in turn and to compare
those that are equal there: Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR
2012, https://doi.org/10.1109/CVPR.2012.6248043.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.labeling.fingerprint import BITS, NEAR

Ids = NDArray[np.int64]
Sorted = Callable[[int], Iterator[tuple[Ids, NDArray[np.uint64]]]]
"""Given a mask: blocks of (ids, fingerprints) in the order of (fingerprint & mask), equal ones never in two blocks."""

MASKS: Final = [sum(1 << bit for bit in range(first, BITS, NEAR + 1)) for first in range(NEAR + 1)]
"""The groups of bits. Neighbouring bits are neighbouring frequencies, which agree too often: they are spread."""


def pairs(blocks: Sorted, wanted: Callable[[Ids, Ids], NDArray[np.bool_]]) -> Iterator[tuple[Ids, Ids]]:
    """Ids of fingerprints that differ in at most NEAR bits; a pair may come again, from another group of bits.

    Args:
        wanted: which pairs to look at, given the ids of both sides.
    """
    for mask in MASKS:
        for ids, fingerprints in blocks(mask):
            keys = fingerprints & np.uint64(mask)
            rows = np.arange(len(ids))
            # Compare each with the next, then with the one after that, as long as they share the group of bits.
            for step in range(1, len(ids)):
                rows = rows[: np.searchsorted(rows, len(ids) - step)]
                rows = rows[keys[rows] == keys[rows + step]]
                if not len(rows):
                    break
                near = np.bitwise_count(fingerprints[rows] ^ fingerprints[rows + step]) <= NEAR
                left, right = ids[rows[near]], ids[rows[near] + step]
                chosen = wanted(left, right)
                if chosen.any():
                    yield left[chosen], right[chosen]


@dataclass(frozen=True)
class Prints:
    """What is known of each distinct fingerprint, by id 0, 1, 2...: a few bytes each, so a million are a few MB."""

    fresh: NDArray[np.bool_]
    """Objects have it that have no split yet."""
    audited: NDArray[np.bool_]
    """Objects of the audit have it, whether they were there before or have just come."""
    known: NDArray[np.uint8]
    """The other splits that objects with it are in since earlier versions: 1 << Split, added up."""


@dataclass(frozen=True)
class Groups:
    """What follows for the fresh fingerprints."""

    kept_out: NDArray[np.bool_]
    """Near an audit object: what is trained on must not be."""
    root: NDArray[np.int32]
    """The smallest id of the group that a fingerprint is in; its own id when it is alone."""
    known: NDArray[np.uint8]
    """By root: the splits in which the group has near-duplicates since earlier versions, as in Prints."""


def groups(prints: Prints, blocks: Sorted) -> Groups:
    """Fresh fingerprints that are near each other, directly or over others that are fresh as well."""
    kept_out = prints.fresh & prints.audited
    if prints.audited.any():
        for left, right in pairs(blocks, lambda one, other: prints.audited[one] != prints.audited[other]):
            kept_out[left] |= prints.audited[right]
            kept_out[right] |= prints.audited[left]
        kept_out &= prints.fresh
    free = prints.fresh & ~kept_out
    root = np.arange(len(free), dtype=np.int32)
    known = np.where(free, prints.known, 0).astype(np.uint8)
    for left, right in pairs(blocks, lambda one, other: free[one] | free[other]):
        for one, other in ((left, right), (right, left)):
            old = free[one] & ~free[other]
            np.bitwise_or.at(known, one[old], prints.known[other[old]])
        _unite(root, left[free[left] & free[right]], right[free[left] & free[right]])
    root = _roots(root, np.arange(len(root)))
    together = np.zeros_like(known)
    np.bitwise_or.at(together, root, known)
    return Groups(kept_out, root, together)


def _unite(root: NDArray[np.int32], left: Ids, right: Ids) -> None:
    """Put both ends of every pair into one group. The smaller root stays one, so the order of pairs does not matter."""
    one, other = _roots(root, left), _roots(root, right)
    for first, second in zip(left[one != other].tolist(), right[one != other].tolist(), strict=True):
        low, high = sorted((_root(root, first), _root(root, second)))
        root[high] = low


def _root(root: NDArray[np.int32], one: int) -> int:
    while root[one] != one:
        root[one] = root[root[one]]
        one = int(root[one])
    return one


def _roots(root: NDArray[np.int32], ids: Ids) -> NDArray[np.int32]:
    found = root[ids]
    while (root[found] != found).any():
        found = root[found]
    root[ids] = found
    return found
