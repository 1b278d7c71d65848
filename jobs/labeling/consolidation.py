"""One label per object out of the answers of several people who err in different ways."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from jobs.labeling.patterns import Answers, Floats, Indices, Patterns, patterns_of

ITERATIONS: Final = 500
TOLERANCE: Final = 1e-6
_FEW: Final = 0.05
"""Once fewer than this share of the patterns move, they go on alone."""
FLOOR: Final = 1e-10
SMOOTHING: Final = 2.0
"""Made-up errors per worker and class. In simulations of crews that err alike on the same objects 2 gives the best
log-loss and as few wrong labels as the majority; people of very unequal skill would be served a little better by 1."""
_MADE_UP: Final = (2, 100)
"""At least and at most so many made-up answers for each made-up error."""


@dataclass(frozen=True)
class Consolidated:
    """What `dawid_skene` found. Objects of one pattern share their posterior, which is kept once for all of them."""

    patterns: Patterns
    by_pattern: Floats
    """[pattern, class]: the probability of each class; the class priors without any answer."""
    by_model: Indices
    """[pattern]: the most probable class by the model itself."""
    confusion: Floats
    """[worker, true class, answered class]."""
    priors: Floats

    @property
    def posteriors(self) -> Floats:
        """[object, class]."""
        return self.by_pattern[self.patterns.of_object]

    @property
    def labels(self) -> Indices:
        """[object]: the class that it is taken for."""
        return np.asarray(self.by_model[self.patterns.of_object])

    @property
    def confidences(self) -> Floats:
        """[object]: the probability of that class."""
        sure = self.by_pattern[np.arange(len(self.by_model)), self.by_model]
        return np.asarray(sure[self.patterns.of_object])


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
    products of a sparse and a dense matrix: log T = A log pi + log rho, and counts = A' (weight * T). Most rows settle
    after a few steps. Then the few that still move go on alone, and a step of all of them tells whether that is the
    end: incremental EM, which has the same fixed points (R. M. Neal and G. E. Hinton, "A View of the EM Algorithm that
    Justifies Incremental, Sparse, and Other Variants", 1998, https://doi.org/10.1007/978-94-011-5014-9_12).

    The posteriors are those of the model, and surer than they ought to be: see certainty.py.

    A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
    Applied Statistics 28(1), 1979, https://doi.org/10.2307/2346806

    Args:
        answers: at most one answer of a worker to an object.
        gold: [object] the known class, -1 where it is unknown.
    """
    known = np.full(objects, -1) if gold is None else gold
    patterns = patterns_of(answers, known, workers, classes)
    every = _Rows.of(patterns)
    sizes = patterns.sizes[:, None]
    votes = patterns.answers @ np.tile(np.eye(classes), (workers, 1))
    truth = np.where(sizes > 0, votes / np.maximum(sizes, 1), 1 / classes)
    pin(truth, patterns.gold)
    for _ in range(ITERATIONS):
        sums = every.sums(truth)
        moving, truth = every.step(truth, sums, workers, smoothing)
        if not len(moving):
            break
        if len(moving) < _FEW * len(truth):
            some, still = every.part(moving), truth[moving]
            rest = every.sums(truth) - some.sums(still)
            for _ in range(ITERATIONS):
                left, still = some.step(still, rest + some.sums(still), workers, smoothing)
                if not len(left):
                    break
            truth[moving] = still
    confusion, priors = _parameters(every.sums(truth), workers, smoothing)
    return Consolidated(patterns, truth, truth.argmax(1), confusion, priors)


@dataclass(frozen=True)
class _Rows:
    """Some patterns, as both steps need them."""

    table: sparse.csr_array
    """[pattern, answer]: 1 for each answer, and for one more that every pattern has: what it says is the prior."""
    by_answer: sparse.csr_array
    weight: Floats
    gold: Indices

    @classmethod
    def of(cls, patterns: Patterns) -> "_Rows":
        ones = sparse.csr_array(np.ones((len(patterns.gold), 1)))
        table = sparse.hstack([patterns.answers, ones], format="csr")
        # What nobody answered says nothing of how frequent a class is.
        return cls(table, table.T.tocsr(), patterns.weight * (patterns.sizes > 0), patterns.gold)

    def part(self, rows: Indices) -> "_Rows":
        table = self.table[rows]
        return _Rows(table, table.T.tocsr(), self.weight[rows], self.gold[rows])

    def sums(self, truth: Floats) -> Floats:
        """[answer, true class]: the expected number of answers; in the last row of objects."""
        return np.asarray(self.by_answer @ (truth * self.weight[:, None]))

    def step(self, before: Floats, sums: Floats, workers: int, smoothing: float) -> tuple[Indices, Floats]:
        """M and E: which rows moved, and where to. `before` is used up."""
        confusion, priors = _parameters(sums, workers, smoothing)
        flat = confusion.swapaxes(1, 2).reshape(-1, len(priors))
        truth = self.table @ np.log(np.vstack([flat, priors]))
        softmax(truth)
        pin(truth, self.gold)
        before -= truth
        return np.flatnonzero(np.abs(before, out=before).max(1, initial=0) >= TOLERANCE), truth


def _parameters(sums: Floats, workers: int, smoothing: float) -> tuple[Floats, Floats]:
    """Confusion matrices and priors from expected numbers of answers."""
    classes = sums.shape[1]
    counts = sums[:-1].reshape(workers, classes, classes).swapaxes(1, 2)
    confusion = np.maximum(_smoothed(counts, smoothing), FLOOR)
    priors = sums[-1] + (1 if smoothing > 0 else FLOOR)
    return confusion / confusion.sum(2, keepdims=True), priors / priors.sum()


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
