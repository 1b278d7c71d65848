"""How good a network is, and how far its probabilities can be believed."""

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as nn_functional
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

BATCH: Final = 256
REVIEW_ERROR: Final = 0.02
"""Frames as sure as those of which more than this share is wrong go to review."""
REVIEW_SHARE: Final = 0.05
"""At least this share of frames like the validation split's goes to review."""


@torch.inference_mode()
def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """The logits of images [n, 3, h, w] of uint8, on the CPU; leaves the network in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    parts = [network((part.to(device).float() / 255).contiguous()).cpu() for part in torch.split(images, BATCH)]
    return torch.cat(parts)


def loss_and_accuracy(logits: Tensor, targets: Tensor) -> tuple[float, float]:
    loss = nn_functional.cross_entropy(logits, targets).item()
    return loss, (logits.argmax(1) == targets).float().mean().item()


def temperature_of(logits: Tensor, targets: Tensor) -> float:
    """The number that the logits are divided by before the softmax, so that probabilities mean what they say.

    Minimises the cross-entropy over held-out objects, T = argmin -sum_i log softmax(z_i / T)[y_i]: C. Guo et al., "On
    Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599. Few objects without an error would
    drive T to 0, hence Platt's smoothed targets (n + 1) / (n + 2) in place of 1 (J. Platt, "Probabilistic Outputs for
    Support Vector Machines", 1999).
    """
    count, classes = logits.shape
    sure = (count + 1) / (count + 2)
    smoothed = np.full((count, classes), (1 - sure) / (classes - 1))
    smoothed[np.arange(count), targets.numpy()] = sure
    values = logits.numpy().astype(np.float64)

    def cross_entropy(log_temperature: float) -> float:
        return float(-(smoothed * _log_softmax(values / math.exp(log_temperature))).sum(1).mean())

    found = minimize_scalar(cross_entropy, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return float(math.exp(found.x))


def uncertain_below(logits: Tensor, targets: Tensor, temperature: float) -> float:
    """The calibrated probability under which a device sends a frame for review.

    The lowest one at and above which at most REVIEW_ERROR of the validation objects are wrong, and high enough that
    REVIEW_SHARE of them falls below; 1.0 when even the surest answers are wrong too often.
    """
    probabilities = np.exp(_log_softmax(logits.numpy().astype(np.float64) / temperature))
    confidences, order = np.sort(probabilities.max(1))[::-1], np.argsort(-probabilities.max(1))
    wrong = (probabilities.argmax(1) != targets.numpy())[order]
    allowed = np.flatnonzero(np.cumsum(wrong) <= REVIEW_ERROR * np.arange(1, len(wrong) + 1))
    lowest = confidences[allowed[-1]] if len(allowed) else 1.0
    return float(max(lowest, np.quantile(confidences, REVIEW_SHARE)))


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = values - values.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))
