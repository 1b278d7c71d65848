"""One label per object out of the answers of several people who err in different ways."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ITERATIONS: Final = 100
TOLERANCE: Final = 1e-6
FLOOR: Final = 1e-12


@dataclass(frozen=True)
class Answers:
    """Who said what of which object: three columns of equal length, everything an index."""

    objects: Indices
    workers: Indices
    labels: Indices


@dataclass(frozen=True)
class Consolidated:
    posteriors: Floats
    """[object, class]: the probability of each class; uniform under the class priors without any answer."""
    confusion: Floats
    """[worker, true class, answered class]."""
    priors: Floats


def dawid_skene(
    answers: Answers, *, objects: int, workers: int, classes: int, gold: Indices | None = None, smoothing: float = 4.0
) -> Consolidated:
    """Estimate the true classes and each worker's confusion matrix together.

    The probability that worker w answers l to an object of class k is pi[w, k, l], answers are independent given the
    class, and the classes have the prior rho. EM maximises the likelihood of the answers:

        E: T[i, k] ~ rho[k] * prod over the answers (w, l) to object i of pi[w, k, l]      (in logarithms)
        M: pi[w, k, l] ~ sum over objects i that w answered with l of T[i, k];   rho[k] ~ sum over i of T[i, k]

    starting from T = the share of votes. The T of a gold object stays at its class.

    With few answers per worker and class a confusion matrix of counts alone is mostly zeros. So `smoothing` made-up
    answers are added to each of its rows, shared out as the worker's overall accuracy says (right with that
    probability, otherwise any other class alike); with 0 it is the method as published.

    A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
    Applied Statistics 28(1), 1979, https://doi.org/10.2307/2346806

    Args:
        answers: at most one answer of a worker to an object.
        gold: [object] the known class, -1 where it is unknown.
    """
    known = np.full(objects, -1) if gold is None else gold
    truth = _votes(answers, objects, classes)
    _pin(truth, known)
    for _ in range(ITERATIONS):
        confusion, priors = _m_step(answers, truth, workers, smoothing)
        before, truth = truth, _e_step(answers, confusion, priors, objects)
        _pin(truth, known)
        if objects == 0 or np.abs(truth - before).max() < TOLERANCE:
            break
    return Consolidated(truth, confusion, priors)


def _votes(answers: Answers, objects: int, classes: int) -> Floats:
    votes = np.zeros((objects, classes))
    np.add.at(votes, (answers.objects, answers.labels), 1)
    totals = votes.sum(1, keepdims=True)
    return np.where(totals > 0, votes / np.maximum(totals, 1), 1 / classes)


def _pin(truth: Floats, known: Indices) -> None:
    rows = np.flatnonzero(known >= 0)
    truth[rows] = 0
    truth[rows, known[rows]] = 1


def _m_step(answers: Answers, truth: Floats, workers: int, smoothing: float) -> tuple[Floats, Floats]:
    classes = truth.shape[1]
    by_answer = np.zeros((workers, classes, classes))
    np.add.at(by_answer, (answers.workers, answers.labels), truth[answers.objects])
    counts = by_answer.swapaxes(1, 2)
    if smoothing > 0:
        right, total = np.trace(counts, axis1=1, axis2=2), counts.sum((1, 2))
        accuracy = ((right + 0.9) / (total + 1))[:, None, None]
        same = np.eye(classes, dtype=bool)
        counts = counts + smoothing * np.where(same, accuracy, (1 - accuracy) / max(1, classes - 1))
    confusion = np.maximum(counts, FLOOR)
    answered = truth[np.unique(answers.objects)]
    priors = answered.sum(0) + (1 if smoothing > 0 else FLOOR)
    return confusion / confusion.sum(2, keepdims=True), priors / priors.sum()


def _e_step(answers: Answers, confusion: Floats, priors: Floats, objects: int) -> Floats:
    log_truth = np.tile(np.log(priors), (objects, 1))
    np.add.at(log_truth, answers.objects, np.log(confusion)[answers.workers, :, answers.labels])
    truth = np.exp(log_truth - log_truth.max(1, keepdims=True))
    return np.asarray(truth / truth.sum(1, keepdims=True))
