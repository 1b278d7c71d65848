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

_SLICE: Final = 1 << 15


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
                chosen = rows[wanted(ids[rows], ids[rows + step])]
                near = chosen[np.bitwise_count(fingerprints[chosen] ^ fingerprints[chosen + step]) <= NEAR]
                if len(near):
                    yield ids[near], ids[near + step]


# What is known of a fingerprint from the objects that have it, as bits of a byte.
SETTLED: Final = 0b000111
"""Since earlier versions they are in the splits with these numbers: bit 0 for split 0 and so on."""
AUDITED: Final = 0b001000
"""One of them is gold or in the audit, whether it was there before or has just come."""
FRESH: Final = 0b010000
"""One of them has no split yet."""
SEVERAL: Final = 0b100000
"""More than one has no split yet."""

Flags = NDArray[np.uint8]


@dataclass(frozen=True)
class Groups:
    """What follows for the fresh fingerprints, by their ids 0, 1, 2...: a few bytes each, so a million are a few MB."""

    kept_out: NDArray[np.bool_]
    """Near gold or an audit object: what is trained on must not be."""
    grouped: NDArray[np.bool_]
    """In a group of two or more objects, counting those that have a split since earlier versions."""
    root: NDArray[np.int32]
    """The smallest id in the group."""
    settled: Flags
    """By root: the splits in which the group has near-duplicates since earlier versions, of SETTLED."""


def groups(flags: Flags, blocks: Sorted) -> Groups:
    """Fresh fingerprints that are near each other, directly or over others that are fresh as well.

    Args:
        flags: what is known of each fingerprint, by id.
    """
    kept_out = _near_audit(flags, blocks)
    free = (flags & FRESH > 0) & ~kept_out
    settled = np.where(free, flags & SETTLED, 0)
    root = np.arange(len(free), dtype=np.int32)
    for left, right in pairs(blocks, lambda one, other: free[one] | free[other]):
        for one, other in ((left, right), (right, left)):
            old = free[one] & ~free[other]
            np.bitwise_or.at(settled, one[old], flags[other[old]] & SETTLED)
        both = free[left] & free[right]
        _unite(root, left[both], right[both])

    grouped = np.zeros_like(free)
    for ids in _slices(len(root)):
        roots = _roots(root, ids)
        np.bitwise_or.at(settled, roots, settled[ids])
        grouped[roots[(roots != ids) | (flags[ids] & SEVERAL > 0)]] = True
    for ids in _slices(len(root)):
        grouped[ids] = free[ids] & (grouped[root[ids]] | (settled[root[ids]] > 0))
    return Groups(kept_out, grouped, root, settled)


def _slices(count: int) -> Iterator[Ids]:
    for start in range(0, count, _SLICE):
        yield np.arange(start, min(start + _SLICE, count))


def _near_audit(flags: Flags, blocks: Sorted) -> NDArray[np.bool_]:
    audited = flags & AUDITED > 0
    found = audited.copy()
    if audited.any():
        for left, right in pairs(blocks, lambda one, other: audited[one] != audited[other]):
            found[left] = found[right] = True
    return np.asarray(found & (flags & FRESH > 0))


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
