"""Answers as columns, and objects with the same answers as one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Answers:
    """Who said what of which object: three columns of equal length, everything an index."""

    objects: NDArray[np.integer]
    workers: NDArray[np.integer]
    labels: NDArray[np.integer]


@dataclass(frozen=True)
class Patterns:
    """Objects with the same answers and the same gold class are one pattern: a row with a weight."""

    of_object: Indices
    answers: sparse.csr_array
    """[pattern, worker * classes + label]: 1 for each answer."""
    gold: Indices
    """[pattern]: the known class, -1 where it is unknown."""
    weight: Floats
    """[pattern]: how many objects it is."""

    @property
    def sizes(self) -> Indices:
        """[pattern]: how many answers it has."""
        return np.asarray(np.diff(self.answers.indptr))


def patterns_of(answers: Answers, known: Indices, workers: int, classes: int) -> Patterns:
    """The patterns of some objects.

    Args:
        answers: at most one answer of a worker to an object.
        known: [object] the known class, -1 where it is unknown.
    """
    objects, codes = len(known), workers * classes
    # Ordered by object, then by answer: the answers of equal objects stand in the same order.
    keys = answers.objects.astype(np.int64) * codes + answers.workers * classes + answers.labels
    rows, said = np.divmod(np.sort(keys), max(codes, 1))
    sizes = np.bincount(rows, minlength=objects)
    starts = np.cumsum(sizes) - sizes
    pattern = known + 1
    used = classes + 1
    for turn in range(int(sizes.max(initial=0))):
        # Every object that has so many answers: what it was, together with its next answer, is what it is now.
        more = np.flatnonzero(sizes > turn)
        _, renamed = np.unique(pattern[more] * codes + said[starts[more] + turn], return_inverse=True)
        pattern[more] = used + renamed
        used += int(renamed.max()) + 1
    _, first, pattern, weight = np.unique(pattern, return_index=True, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes[first])
    kept = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[first] - ends + sizes[first], sizes[first])
    table = sparse.csr_array(
        (np.ones(len(kept)), said[kept].astype(np.int32), np.concatenate([[0], ends]).astype(np.int32)),
        shape=(len(first), codes),
    )
    return Patterns(pattern, table, known[first], weight.astype(np.float64))
