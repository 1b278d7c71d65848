"""Probabilities that mean what they say, and how far they do."""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from jobs.errors import JobError

REVIEW_ERROR: Final = 0.02
"""Frames as sure as those of which more than this share is wrong go to review."""
REVIEW_SHARE: Final = 0.05
"""At least this share of frames like the validation split's goes to review."""
UNKNOWN_SHARE: Final = 0.05
"""At most this share of frames like the validation split's is called unknown. At a twentieth nine tenths of the empty
water before a camera is found, at a hundredth half of it, and what is left is counted as animals."""
BINS: Final = 15
"""Of equal width, as in the literature, so that figures compare."""

Logits = NDArray[np.floating[Any]]
Targets = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Calibration:
    """What one split says about the probabilities: fitted on it, so the errors are lower than on any other split."""

    temperature: float
    uncertain_below: float
    unknown_above_energy: float | None
    """None where the split is too small to tell."""
    before: float
    """Expected calibration error with temperature 1."""
    after: float


def calibrate(logits: Logits, targets: Targets) -> Calibration:
    """Fit the temperature and the bounds for review on held-out objects: logits [n, classes], targets [n].

    Raises:
        JobError: logits that are no numbers.
    """
    if not np.isfinite(logits).all():
        raise JobError(
            "the network answers with values that are no numbers: lower training.learning_rate, then train again"
        )
    temperature = temperature_of(logits, targets)
    before, after = Reliability(), Reliability()
    before.add(*_judged(logits, targets, 1.0))
    after.add(*_judged(logits, targets, temperature))
    return Calibration(
        temperature=temperature,
        uncertain_below=uncertain_below(logits, targets, temperature),
        unknown_above_energy=unknown_above_energy(logits, temperature),
        before=before.error,
        after=after.error,
    )


def temperature_of(logits: Logits, targets: Targets) -> float:
    """The number that the logits are divided by before the softmax, so that probabilities mean what they say.

    Minimises the cross-entropy over held-out objects, T = argmin -sum_i log softmax(z_i / T)[y_i]: C. Guo et al., "On
    Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599. Few objects without an error would
    drive T to 0, hence Platt's smoothed targets (n + 1) / (n + 2) in place of 1 (J. Platt, "Probabilistic Outputs for
    Support Vector Machines", 1999).
    """
    count, classes = logits.shape
    sure = (count + 1) / (count + 2)
    smoothed = np.full((count, classes), (1 - sure) / (classes - 1))
    smoothed[np.arange(count), targets] = sure
    values = logits.astype(np.float64)

    def cross_entropy(log_temperature: float) -> float:
        return float(-(smoothed * _log_softmax(values / math.exp(log_temperature))).sum(1).mean())

    found = minimize_scalar(cross_entropy, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return float(math.exp(found.x))


def uncertain_below(logits: Logits, targets: Targets, temperature: float) -> float:
    """The calibrated probability under which a device sends a frame for review.

    The lowest one at and above which at most REVIEW_ERROR of the validation objects are wrong, and high enough that
    REVIEW_SHARE of them falls below; 1.0 when even the surest answers are wrong too often.
    """
    confidences, right = _judged(logits, targets, temperature)
    order = np.argsort(-confidences)
    ordered = confidences[order]
    within = np.cumsum(~right[order]) <= REVIEW_ERROR * np.arange(1, len(right) + 1)
    # A threshold takes all that are equally sure or none of them.
    last_of_equals = np.append(ordered[1:] < ordered[:-1], True)
    allowed = np.flatnonzero(within & last_of_equals)
    lowest = ordered[allowed[-1]] if len(allowed) else 1.0
    return float(max(lowest, np.quantile(confidences, REVIEW_SHARE)))


def unknown_above_energy(logits: Logits, temperature: float) -> float | None:
    """The energy above which a device calls a frame unknown: like nothing that the network was trained on.

    The energy is -T logsumexp(z / T), low where some class fits well: W. Liu et al., "Energy-based Out-of-distribution
    Detection", NeurIPS 2020, https://arxiv.org/abs/2010.03759. Of n validation objects the bound is the energy of the
    k-th highest with k = floor(UNKNOWN_SHARE (n + 1)), so that of frames drawn as they were a share of at most
    UNKNOWN_SHARE is above it, averaged over splits (split conformal prediction: A. Angelopoulos and S. Bates, 2021,
    https://arxiv.org/abs/2107.07511). None where k is 0, with fewer than 19 objects.
    """
    rank = math.floor(UNKNOWN_SHARE * (len(logits) + 1))
    if rank < 1:
        return None
    values = logits.astype(np.float64) / temperature
    highest = values.max(1)
    energies = -temperature * (highest + np.log(np.exp(values - highest[:, None]).sum(1)))
    return float(np.sort(energies)[-rank])


@dataclass
class Reliability:
    """How sure a model was and how often it was right, in bins of how sure it was; filled as objects come by.

    The expected calibration error is the distance of the two, averaged over objects: sum_b n_b / n |acc(b) - conf(b)|
    with BINS bins of equal width (M. Pakdaman Naeini et al., 2015, https://doi.org/10.1609/aaai.v29i1.9602).
    """

    objects: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    """[bin]: sums."""

    def add(self, confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
        """Probabilities of the answers given, above 0 and up to 1, and whether each answer was right."""
        bins = np.clip(np.ceil(confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
        self.objects += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins[right], minlength=BINS)
        self.confidence += np.bincount(bins, weights=confidences, minlength=BINS)

    @property
    def error(self) -> float:
        """The expected calibration error; 0 for no objects."""
        return float(np.abs(self.right - self.confidence).sum() / max(1, self.objects.sum()))

    def described(self) -> list[dict[str, float]]:
        """The bins that are not empty: their number of objects, mean confidence and accuracy."""
        return [
            {
                "objects": int(self.objects[number]),
                "confidence": float(self.confidence[number] / self.objects[number]),
                "accuracy": float(self.right[number] / self.objects[number]),
            }
            for number in np.flatnonzero(self.objects)
        ]


def _judged(logits: Logits, targets: Targets, temperature: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of each object's likeliest class, and whether that is its class."""
    probabilities = np.exp(_log_softmax(logits.astype(np.float64) / temperature))
    return probabilities.max(1), probabilities.argmax(1) == targets


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = values - values.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))
