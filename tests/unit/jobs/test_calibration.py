"""Probabilities mean what they say, and the threshold for review follows from the errors on held-out objects."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jobs.training.evaluation import loss_and_accuracy, temperature_of, uncertain_below


def calibrated(seed: int, objects: int, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is exactly the distribution that the classes are drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (objects, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (rng.random(objects)[:, None] > probabilities.cumsum(1)).sum(1)
    return torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(targets)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_over_and_underconfidence(temperature: float) -> None:
    logits, targets = calibrated(1, 5000)
    assert temperature_of(logits * temperature, targets) == pytest.approx(temperature, rel=0.1)


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_any_validation_split_gives_a_usable_temperature_and_threshold(seed: int, objects: int) -> None:
    logits, targets = calibrated(seed, objects)
    temperature = temperature_of(logits, targets)
    assert 0.04 < temperature < 21
    assert 0 < uncertain_below(logits, targets, temperature) <= 1


def test_few_objects_without_an_error_do_not_make_a_model_certain() -> None:
    logits = 8 * torch.eye(4).repeat(5, 1)
    temperature = temperature_of(logits, torch.arange(4).repeat(5))
    surest = torch.softmax(logits / temperature, 1).max().item()
    # Platt's target for 20 objects is 21/22.
    assert surest == pytest.approx(21 / 22, abs=0.01)


def test_frames_less_sure_than_those_that_were_wrong_go_to_review() -> None:
    margins = torch.linspace(0, 8, 400)
    logits, targets = torch.stack([margins, torch.zeros(400)], 1), torch.zeros(400, dtype=torch.long)
    targets[:100] = torch.arange(100) % 2
    threshold = uncertain_below(logits, targets, 1.0)
    probabilities = torch.softmax(logits, 1).max(1).values
    kept = probabilities >= threshold
    assert (targets[kept] == 1).float().mean() <= 0.02
    assert 0.75 < kept.float().mean() < 0.8


def test_a_twentieth_goes_to_review_even_when_nothing_was_wrong() -> None:
    margins = torch.linspace(1, 8, 100)
    logits = torch.stack([margins, torch.zeros(100)], 1)
    threshold = uncertain_below(logits, torch.zeros(100, dtype=torch.long), 1.0)
    assert (torch.softmax(logits, 1).max(1).values < threshold).sum() == 5


def test_everything_goes_to_review_when_the_surest_are_wrong() -> None:
    logits = torch.tensor([[9.0, 0.0], [5.0, 0.0], [1.0, 0.0]])
    assert uncertain_below(logits, torch.tensor([1, 1, 0]), 1.0) == 1
    assert loss_and_accuracy(logits, torch.tensor([1, 1, 0]))[1] == pytest.approx(1 / 3)
