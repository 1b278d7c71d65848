"""What a model says of a frame: the likeliest label, how sure it is, and whether it knows such things at all."""

import math
from pathlib import Path

import numpy as np
import pytest
from classifier.frames import Frame, Unreadable
from classifier.models.model import Model, load
from classifier.models.package import Package
from hypothesis import given
from hypothesis import strategies as st

from jobs.training import calibration
from tests.edge import model_packages
from tests.edge.models.berth import frame

LOGITS = st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=40)


def model(classes: int, *, temperature: float = 1.0, unsure: float = 0.5, energy: float | None = None) -> Model:
    package = Package(
        folder=Path("/nowhere"),
        version="m1",
        target="linux",
        labels=tuple(map(str, range(classes))),
        input_name="image",
        shape=(1, 3, 8, 8),
        output="logits",
        temperature=temperature,
        uncertain_below=unsure,
        golden=(),
        unknown_above_energy=energy,
    )
    return Model(package, "none", lambda image: image)


@given(LOGITS, st.floats(0.1, 10))
def test_it_is_the_softmax_of_the_logits_over_the_temperature(logits: list[float], temperature: float) -> None:
    answer = model(len(logits), temperature=temperature).judge(np.asarray(logits, np.float32))
    scaled = np.asarray(logits, np.float32).astype(np.longdouble) / temperature
    probabilities = np.exp(scaled - scaled.max())
    probabilities /= probabilities.sum()
    assert answer.label == str(int(np.argmax(logits)))
    ordered = np.sort(probabilities)[::-1]
    assert answer.probability == pytest.approx(float(ordered[0]))
    assert answer.margin == pytest.approx(float(ordered[0] - (ordered[1] if len(ordered) > 1 else 0)), abs=1e-9)
    some = probabilities[probabilities > 0]
    share = float(-(some * np.log(some)).sum()) / (math.log(len(logits)) if len(logits) > 1 else 1)
    assert answer.entropy == pytest.approx(share, abs=1e-9)


@given(st.integers(2, 50))
def test_logits_that_are_all_the_same_know_nothing(classes: int) -> None:
    answer = model(classes).judge(np.full(classes, 3.0, np.float32))
    assert (answer.margin, answer.unsure) == (0, classes > 2)
    assert answer.entropy == pytest.approx(1)


def test_it_is_unsure_below_the_bound_and_not_at_it() -> None:
    certain = np.asarray([0.0, 0.0], np.float32)
    assert not model(2, unsure=0.5).judge(certain).unsure
    assert model(2, unsure=0.51).judge(certain).unsure


@given(LOGITS, st.floats(0.1, 10), st.floats(-100, 100))
def test_it_is_unknown_when_its_energy_is_above_the_bound(
    logits: list[float], temperature: float, bound: float
) -> None:
    scaled = np.asarray(logits, np.float32).astype(np.float64) / temperature
    energy = -temperature * float(np.logaddexp.reduce(scaled))
    answer = model(len(logits), temperature=temperature, energy=bound).judge(np.asarray(logits, np.float32))
    assert answer.unknown == (energy > bound) or energy == pytest.approx(bound)


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_the_bound_of_the_unknown_means_the_same_as_in_training(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (1000, 7)).astype(np.float32)
    asked = model(7, temperature=temperature, energy=calibration.unknown_above_energy(logits, temperature))
    unknown = sum(asked.judge(each).unknown for each in logits)
    # The one that the bound was taken from is on either side of it.
    assert unknown <= calibration.UNKNOWN_SHARE * len(logits) <= unknown + 1


@given(LOGITS)
def test_without_a_bound_nothing_is_unknown(logits: list[float]) -> None:
    assert not model(len(logits)).judge(np.asarray(logits, np.float32)).unknown


def test_a_frame_is_classified_from_its_bytes_or_its_pixels(tmp_path: Path) -> None:
    loaded = load(model_packages.write(tmp_path / "package"), "onnxruntime-portable", threads=1)
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 2] = 255
    of_bytes, of_pixels = loaded.classify(frame("blue")), loaded.classify(Frame("blue", 0.0, pixels=blue))
    assert of_bytes == of_pixels
    assert of_bytes.label == "blue"
    # Its logits are 0, 0 and 10.
    assert of_bytes.probability == pytest.approx(1 / (1 + 2 * math.exp(-10)))


def test_what_is_no_image_has_no_answer(tmp_path: Path) -> None:
    loaded = load(model_packages.write(tmp_path / "package"), "onnxruntime-portable", threads=1)
    with pytest.raises(Unreadable):
        loaded.classify(Frame("?", 0.0, content=b"?"))
