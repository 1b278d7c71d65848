"""How sure a consolidated label may be called.

The posteriors of Dawid and Skene's model are surer than they ought to be, for two reasons. People who err on an object
err alike (an animal that one takes for another species, the next one often takes for the same), and the model takes
their errors for independent. And what an object is believed to be has taught the model how its own workers err: two
people who contradict a third are explained by a confusion that was seen nowhere else. For people like the crew of the
demo the model expects 0.01 % wrong labels where 1.1 % are: nothing would ever go to experts.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar

from jobs.labeling.consolidation import FLOOR, SMOOTHING, Consolidated, made_up, pin, softmax
from jobs.labeling.patterns import Floats, Indices

LOWEST: Final = 0.05
"""The smallest factor for the log-posteriors."""
_ROWS: Final = 1024


def tempered(found: Consolidated, smoothing: float = SMOOTHING) -> Consolidated:
    """The posteriors as other objects and gold bear them out.

    1. Cross-checking: the posterior of a pattern (objects with the same answers) follows from confusion matrices
       without what that pattern itself contributed to them. For a gold object its own contribution is left out, and
       its class is not told: what it would have been taken for.
    2. Temperature scaling: all log-posteriors are multiplied with the one factor, at most 1, under which the truth
       about gold is most probable. A normal prior of the factor's logarithm (mean 0, deviation 1) keeps a handful of
       gold objects from deciding it; without gold it is 1.

    The label stays the model's own, which is right more often where people are alike: this says how sure it is. A
    label that the cross-check takes for another class is in doubt.

    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599, section 4.2
    """
    logs = _cross_checked(found, smoothing)
    gold = found.patterns.gold
    checked = (gold >= 0) & (found.patterns.sizes > 0)
    factor = _factor(logs[checked], gold[checked], found.patterns.weight[checked])
    logs *= factor
    softmax(logs)
    pin(logs, gold)
    return replace(found, by_pattern=logs)


def _cross_checked(found: Consolidated, smoothing: float) -> Floats:
    """[pattern, class]: logarithms of posteriors that a pattern did not teach itself, up to a constant per row."""
    patterns, (workers, classes, _) = found.patterns, found.confusion.shape
    answers, truth = patterns.answers, found.by_pattern
    by_answer = answers.T.tocsr() @ (truth * patterns.weight[:, None])
    by_worker = by_answer.reshape(workers, classes, classes)
    right, totals = np.trace(by_worker, axis1=1, axis2=2), by_worker.sum(1)
    own = truth * np.where(patterns.gold >= 0, 1.0, patterns.weight)[:, None]
    logs = np.tile(np.log(found.priors), (len(truth), 1))
    # In slices: a row for each answer of each pattern is more than all the rest together.
    for start in range(0, len(truth), _ROWS):
        some = answers[start : start + _ROWS]
        mine, (worker, label) = own[start : start + _ROWS], np.divmod(some.indices, classes)
        row, place = np.repeat(np.arange(some.shape[0]), np.diff(some.indptr)), np.arange(len(label))
        good, bad = made_up(right[worker] - mine[row, label], totals[worker].sum(1) - mine[row].sum(1), smoothing)
        added = np.repeat((bad / max(1, classes - 1))[:, None], classes, 1)
        added[place, label] = good
        likelihood = np.log(np.maximum(by_answer[some.indices] - mine[row] + added, FLOOR))
        likelihood -= np.log(np.maximum(totals[worker] - mine[row] + (good + bad)[:, None], FLOOR))
        each = sparse.csr_array((some.data, place, some.indptr), shape=(some.shape[0], len(place)))
        logs[start : start + _ROWS] += each @ likelihood
    return logs


def _factor(logs: Floats, gold: Indices, weight: Floats) -> float:
    """The factor under which the gold classes are most probable."""
    if not len(gold):
        return 1.0
    apart = logs - logs.max(1, keepdims=True)
    truth = apart[np.arange(len(gold)), gold]

    def loss(exponent: float) -> float:
        factor = np.exp(exponent)
        return float(weight @ (np.log(np.exp(factor * apart).sum(1)) - factor * truth)) + exponent**2 / 2

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(LOWEST), 0.0), method="bounded").x))
