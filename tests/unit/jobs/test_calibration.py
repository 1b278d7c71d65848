"""Probabilities mean what they say, and the threshold for review follows from the errors on held-out objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobs.errors import JobError
from jobs.training.calibration import (
    BINS,
    UNKNOWN_SHARE,
    Reliability,
    calibrate,
    temperature_of,
    uncertain_below,
    unknown_above_energy,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def drawn(seed: int, objects: int, classes: int = 5) -> tuple[Floats, Ints]:
    """Logits whose softmax is exactly the distribution that the classes are drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (objects, classes))
    targets = (rng.random(objects)[:, None] > softmax(logits).cumsum(1)).sum(1)
    return logits.astype(np.float32), targets


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    exponentials = np.exp(logits.astype(np.float64))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_over_and_underconfidence(temperature: float) -> None:
    logits, targets = drawn(1, 5000)
    assert temperature_of(logits * temperature, targets) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_after_the_temperature_the_probabilities_are_those_of_being_right(temperature: float) -> None:
    logits, targets = drawn(2, 5000)
    found = calibrate(logits * temperature, targets)
    assert found.before > 0.1
    assert found.after < 0.03


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_any_validation_split_gives_a_usable_temperature_and_threshold(seed: int, objects: int) -> None:
    found = calibrate(*drawn(seed, objects))
    assert 0.04 < found.temperature < 21
    assert 0 < found.uncertain_below <= 1
    assert 0 <= found.after <= 1


def test_few_objects_without_an_error_do_not_make_a_model_certain() -> None:
    logits, targets = 8 * np.tile(np.eye(4), (5, 1)), np.tile(np.arange(4), 5)
    # Platt's target for 20 objects is 21/22.
    assert softmax(logits / temperature_of(logits, targets)).max() == pytest.approx(21 / 22, abs=0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(value: float) -> None:
    logits, targets = drawn(1, 10)
    logits[3, 2] = value
    with pytest.raises(JobError, match=r"values that are no numbers: lower training\.learning_rate"):
        calibrate(logits, targets)


def two_classes(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([margins, np.zeros(len(margins))], 1)


def test_frames_less_sure_than_those_that_were_wrong_go_to_review() -> None:
    logits, targets = two_classes(np.linspace(0, 8, 400)), np.zeros(400, np.int64)
    targets[:100] = np.arange(100) % 2
    kept = softmax(logits).max(1) >= uncertain_below(logits, targets, 1.0)
    assert (targets[kept] == 1).mean() <= 0.02
    assert 0.75 < kept.mean() < 0.8


def test_a_twentieth_goes_to_review_even_when_nothing_was_wrong() -> None:
    logits = two_classes(np.linspace(1, 8, 100))
    threshold = uncertain_below(logits, np.zeros(100, np.int64), 1.0)
    assert (softmax(logits).max(1) < threshold).sum() == 5


def test_everything_goes_to_review_when_the_surest_are_wrong() -> None:
    assert uncertain_below(two_classes(np.array([9.0, 5.0, 1.0])), np.array([1, 1, 0]), 1.0) == 1


def test_answers_that_are_equally_sure_go_to_review_together() -> None:
    # A network that gives one answer to everything, right of the first 60 objects.
    logits, targets = two_classes(np.ones(100)), (np.arange(100) >= 60).astype(np.int64)
    assert uncertain_below(logits, targets, 1.0) == 1


def energies(logits: Floats, temperature: float) -> NDArray[np.float64]:
    return np.asarray(-temperature * np.logaddexp.reduce(logits.astype(np.float64) / temperature, axis=1))


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_few_objects_are_above_the_bound_of_the_unknown(seed: int, temperature: float) -> None:
    logits, _ = drawn(seed, 1000)
    bound = unknown_above_energy(logits, temperature)
    assert bound is not None
    # The fiftieth of a thousand is at the bound.
    assert (energies(logits, temperature) > bound + 1e-6).sum() == 49


def test_of_other_objects_like_them_as_few_are() -> None:
    shares = []
    for seed in range(200):
        logits, _ = drawn(seed, 200 + 1000)
        bound = unknown_above_energy(logits[:200], 1.0)
        shares.append((energies(logits[200:], 1.0) > bound).mean())
    assert 0.7 * UNKNOWN_SHARE < np.mean(shares) < 1.2 * UNKNOWN_SHARE


@pytest.mark.parametrize(("objects", "known"), [(18, False), (19, True)])
def test_too_few_objects_tell_nothing_of_the_unknown(objects: int, known: bool) -> None:
    assert (unknown_above_energy(drawn(1, objects)[0], 1.0) is not None) == known


def test_large_logits_have_an_energy_too() -> None:
    logits = np.full((99, 3), 800.0, np.float32)
    assert unknown_above_energy(logits, 1.0) == pytest.approx(-800 - np.log(3))


def test_the_calibration_error_is_the_distance_of_confidence_and_accuracy() -> None:
    found = Reliability()
    # Four objects at 0.9 of which three are right, and six at 0.55 of which all are.
    found.add(np.array([0.9] * 4 + [0.55] * 6), np.array([True] * 3 + [False] + [True] * 6))
    assert found.error == pytest.approx((4 * 0.15 + 6 * 0.45) / 10)
    assert [one["objects"] for one in found.described()] == [6, 4]
    assert [one["accuracy"] for one in found.described()] == [1.0, 0.75]


@given(st.lists(st.tuples(st.floats(1e-6, 1), st.booleans()), min_size=1, max_size=50), st.integers(0, 50))
def test_it_is_the_same_in_one_piece_or_in_two(objects: list[tuple[float, bool]], cut: int) -> None:
    confidences, right = np.array([one for one, _ in objects]), np.array([one for _, one in objects])
    whole, parts = Reliability(), Reliability()
    whole.add(confidences, right)
    parts.add(confidences[:cut], right[:cut])
    parts.add(confidences[cut:], right[cut:])
    assert whole.error == pytest.approx(parts.error)
    assert 0 <= whole.error <= 1
    # As the definition has it, bin by bin.
    bins = np.ceil(confidences * BINS)
    expected = sum(
        (bins == number).mean() * abs(right[bins == number].mean() - confidences[bins == number].mean())
        for number in set(bins.tolist())
    )
    assert whole.error == pytest.approx(expected)
