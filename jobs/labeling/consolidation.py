"""One label per object out of the answers of several people who err in different ways."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ITERATIONS: Final = 500
TOLERANCE: Final = 1e-6
FLOOR: Final = 1e-10
SMOOTHING: Final = 2.0
"""Made-up errors per worker and class. In simulations of crews that err alike on the same objects 2 gives the best
log-loss and as few wrong labels as the majority; people of very unequal skill would be served a little better by 1."""
_MADE_UP: Final = (2, 100)
"""At least and at most so many made-up answers for each made-up error."""


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


@dataclass(frozen=True)
class Consolidated:
    """What `dawid_skene` found. Objects of one pattern share their posterior, which is kept once for all of them."""

    patterns: Patterns
    by_pattern: Floats
    """[pattern, class]: the probability of each class; the class priors without any answer."""
    confusion: Floats
    """[worker, true class, answered class]."""
    priors: Floats

    @property
    def posteriors(self) -> Floats:
        """[object, class]."""
        return self.by_pattern[self.patterns.of_object]

    @property
    def labels(self) -> Indices:
        """[object]: the most probable class."""
        return np.asarray(self.by_pattern.argmax(1)[self.patterns.of_object])

    @property
    def confidences(self) -> Floats:
        """[object]: the probability of the most probable class."""
        return np.asarray(self.by_pattern.max(1, initial=0)[self.patterns.of_object])


def dawid_skene(
    answers: Answers,
    *,
    objects: int,
    workers: int,
    classes: int,
    gold: Indices | None = None,
    smoothing: float = SMOOTHING,
) -> Consolidated:
    """Estimate the true classes and each worker's confusion matrix together.

    The probability that worker w answers l to an object of class k is pi[w, k, l], answers are independent given the
    class, and the classes have the prior rho. EM maximises the likelihood of the answers:

        E: T[i, k] ~ rho[k] * prod over the answers (w, l) to object i of pi[w, k, l]      (in logarithms)
        M: pi[w, k, l] ~ sum over objects i that w answered with l of T[i, k];   rho[k] ~ sum over i of T[i, k]

    starting from T = the share of votes. The T of a gold object stays at its class.

    With few answers per worker and class a confusion matrix of counts alone is mostly zeros, and a confusion seen once
    would outweigh everything. So answers are made up for each of its rows as the worker's overall accuracy says: right
    with that probability, otherwise any other class alike, and so many that `smoothing` of them are errors. With 0 it
    is the method as published.

    Objects that got the same answers from the same people (and have the same gold class) have the same T: each such
    pattern is one row with a weight. With A[pattern, (w, l)] = 1 where the pattern has that answer, both steps are
    products of a sparse and a dense matrix: log T = A log pi + log rho, and counts = A' (weight * T).

    The posteriors are those of the model, and surer than they ought to be: see certainty.py.

    A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
    Applied Statistics 28(1), 1979, https://doi.org/10.2307/2346806

    Args:
        answers: at most one answer of a worker to an object.
        gold: [object] the known class, -1 where it is unknown.
    """
    known = np.full(objects, -1) if gold is None else gold
    patterns = _patterns(answers, known, workers, classes)
    given, sizes, weight = patterns.answers, patterns.sizes[:, None], patterns.weight[:, None]
    votes = given @ np.tile(np.eye(classes), (workers, 1))
    truth = np.where(sizes > 0, votes / np.maximum(sizes, 1), 1 / classes)
    pin(truth, patterns.gold)
    by_answer = given.T.tocsr()
    for _ in range(ITERATIONS):
        counts = (by_answer @ (truth * weight)).reshape(workers, classes, classes).swapaxes(1, 2)
        confusion = np.maximum(_smoothed(counts, smoothing), FLOOR)
        confusion /= confusion.sum(2, keepdims=True)
        # What nobody answered says nothing of how frequent a class is.
        priors = (weight * (sizes > 0)).T[0] @ truth + (1 if smoothing > 0 else FLOOR)
        priors /= priors.sum()
        before, truth = truth, given @ np.log(confusion).swapaxes(1, 2).reshape(workers * classes, classes)
        truth += np.log(priors)
        softmax(truth)
        pin(truth, patterns.gold)
        before -= truth
        if np.abs(before, out=before).max(initial=0) < TOLERANCE:
            break
    return Consolidated(patterns, truth, confusion, priors)


def _patterns(answers: Answers, known: Indices, workers: int, classes: int) -> Patterns:
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


def expected_counts(answers: Answers, found: Consolidated, *, workers: int, classes: int) -> Floats:
    """[worker, true class, answered class]: how often each worker is expected to have said what of which class.

    The answers may be others than those that were consolidated.
    """
    codes = answers.workers.astype(np.int64) * classes + answers.labels
    said = sparse.coo_array(
        (np.ones(len(codes)), (codes, found.patterns.of_object[answers.objects])),
        shape=(workers * classes, len(found.by_pattern)),
    )
    return np.asarray((said.tocsr() @ found.by_pattern).reshape(workers, classes, classes).swapaxes(1, 2))


def _smoothed(counts: Floats, smoothing: float) -> Floats:
    """[worker, true class, answered class]: the counts with the made-up answers, see `dawid_skene`."""
    if smoothing == 0:
        return counts
    classes = counts.shape[1]
    right, wrong = made_up(np.trace(counts, axis1=1, axis2=2), counts.sum((1, 2)), smoothing)
    same = np.eye(classes, dtype=bool)
    return np.asarray(counts + np.where(same, right[:, None, None], wrong[:, None, None] / max(1, classes - 1)))


def made_up(right: Floats, answers: Floats, smoothing: float) -> tuple[Floats, Floats]:
    """How many right and how many wrong answers are made up for each class of people with these counts.

    Accuracies start from ten answers of which nine are right: no error in fifty does not make anybody infallible.
    """
    accuracy = (right + 9) / (answers + 10)
    least, most = _MADE_UP
    total = np.clip(smoothing / np.maximum(1 - accuracy, FLOOR), least * smoothing, most * smoothing)
    return total * accuracy, total * (1 - accuracy)


def softmax(logarithms: Floats) -> None:
    """Make each row of logarithms probabilities, in place."""
    logarithms -= logarithms.max(1, keepdims=True)
    np.exp(logarithms, out=logarithms)
    logarithms /= logarithms.sum(1, keepdims=True)


def pin(truth: Floats, gold: Indices) -> None:
    """Set the rows whose class is known, in place."""
    rows = np.flatnonzero(gold >= 0)
    truth[rows] = 0
    truth[rows, gold[rows]] = 1
