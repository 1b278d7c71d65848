"""The recipe of a training: order, learning rate, decay, weights, precision."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import JobError
from jobs.training import metrics, networks, precision, step
from jobs.training.augment import augmented
from jobs.training.fit import fit
from jobs.training.hyperparameters import Hyperparameters
from jobs.training.plan import STEPS_PER_EPOCH, Plan, parts
from jobs.training.precision import BFLOAT16, FLOAT16, FLOAT32, Precision, chosen_precision
from jobs.training.processes import Processes
from jobs.training.schedule import learning_rate, parameter_groups
from jobs.training.step import class_weights
from tests.unit.jobs.trainings import dataset

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def chosen(**values: object) -> Hyperparameters:
    return Hyperparameters(model_version="v1-1", dataset_version="v1", **values)  # type: ignore[arg-type]


@given(st.integers(1, 300), st.integers(2, 64), st.integers(0, 5))
def test_an_epoch_is_full_batches_of_every_object_about_as_often(objects: int, size: int, epoch: int) -> None:
    plan = Plan(objects, size, seed=3)
    order = plan.epoch(epoch)
    assert order.shape == (plan.steps, size)
    assert plan.steps >= STEPS_PER_EPOCH
    seen = Counter(order.ravel().tolist())
    assert set(seen) <= set(range(objects))
    # Less than a batch is left over.
    assert plan.passes * objects - seen.total() < size
    assert max(seen.values()) <= plan.passes


def test_the_order_is_another_in_every_epoch_and_for_every_seed_and_the_same_again() -> None:
    plan = Plan(64, 4, seed=1)
    assert np.array_equal(plan.epoch(1), Plan(64, 4, seed=1).epoch(1))
    assert not np.array_equal(plan.epoch(0), plan.epoch(1))
    assert not np.array_equal(plan.epoch(0), Plan(64, 4, seed=2).epoch(0))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 40))
def test_the_parts_of_all_processes_are_the_batch_and_none_is_empty(size: int, accumulation: int, more: int) -> None:
    batch = np.arange(size * accumulation + more)
    found = [part for rank in range(size) for part in parts(batch, rank=rank, size=size, accumulation=accumulation)]
    assert len(found) == size * accumulation
    assert np.array_equal(np.concatenate(found), batch)
    most = chosen(batch_size=len(batch), accumulation=accumulation).largest_part(size) if len(batch) > 1 else 1
    assert 0 < min(map(len, found)) <= max(map(len, found)) == most


def test_the_learning_rate_rises_to_what_was_chosen_and_falls_to_0() -> None:
    rates = [learning_rate(chosen(learning_rate=0.1, warm_up_share=0.25), step, 40) for step in range(40)]
    assert rates[:10] == pytest.approx([0.01 * step for step in range(1, 11)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert (rates[10], rates[25]) == pytest.approx((0.1, 0.05))
    assert 0 < rates[-1] < 0.001
    assert learning_rate(chosen(learning_rate=0.1, warm_up_share=0), 0, 1) == 0.1


def test_norms_and_biases_are_not_decayed() -> None:
    network = networks.build("reef", classes=3, pixels=64, normalization="group", pretrained=False)
    decayed, kept = parameter_groups(network, 0.05)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.05, 0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert all(names[id(one)].endswith("weight") for one in decayed["params"])
    assert any(names[id(one)].endswith("bias") for one in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_last_epoch_sees_whole_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    honest, widths = augmented, []

    def seen(images: torch.Tensor, objects: Any, **key: Any) -> torch.Tensor:
        widths.append(key["pixels"])
        return honest(images, objects, **key)

    monkeypatch.setattr(step, "augmented", seen)
    network = networks.build("reef", classes=3, pixels=64, normalization="group", pretrained=False)
    fit(network, dataset(8, pixels=64), chosen(epochs=epochs, batch_size=2), tmp_path, Processes.alone())
    assert widths[-1] == 64
    assert widths == sorted(widths)


def test_balanced_weights_let_every_class_count_the_same() -> None:
    targets = torch.tensor([0] * 30 + [1] * 10 + [3] * 20)
    weights = class_weights(targets, 5, "balanced")
    assert weights.tolist() == pytest.approx([60 / 3 / 30, 60 / 3 / 10, 0, 60 / 3 / 20, 0])
    assert float(weights[targets].mean()) == pytest.approx(1)
    assert class_weights(targets, 5, "none").tolist() == [1] * 5


@pytest.mark.parametrize(
    ("name", "device", "capability", "found"),
    [
        ("auto", CPU, None, FLOAT32),
        ("auto", CUDA, (7, 5), FLOAT16),
        ("auto", CUDA, (8, 6), BFLOAT16),
        ("auto", CUDA, (10, 0), BFLOAT16),
        ("float32", CUDA, (8, 6), FLOAT32),
        ("bfloat16", CUDA, (8, 9), BFLOAT16),
        ("bfloat16", CUDA, (7, 5), "training.precision is bfloat16: this GPU is older than bfloat16: choose auto or"),
        ("bfloat16", CPU, None, "training.precision is bfloat16: without a GPU there is no fast bfloat16: choose auto"),
        ("float16", CUDA, (7, 0), FLOAT16),
        ("float16", CPU, None, "training.precision is float16: without a GPU there is no fast float16: choose auto"),
    ],
)
def test_the_precision_is_what_the_device_is_fast_at(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    device: torch.device,
    capability: tuple[int, int] | None,
    found: Precision | str,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    if isinstance(found, Precision):
        assert chosen_precision(name, device) == found
    else:
        with pytest.raises(JobError, match=found):
            chosen_precision(name, device)


def test_losses_are_scaled_in_float16_alone() -> None:
    assert not FLOAT32.scaler(CPU).is_enabled()
    assert not BFLOAT16.scaler(CPU).is_enabled()
    assert FLOAT16.scaler(CPU).is_enabled()


def test_a_deterministic_training_says_so_to_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        precision.prepare(chosen(deterministic=True), CPU)
        assert torch.are_deterministic_algorithms_enabled()
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
        assert precision.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    finally:
        precision.prepare(chosen(), CPU)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark


def test_metrics_are_names_and_plain_numbers_in_one_order() -> None:
    assert metrics.line({"step_seconds": 0.25, "epoch": 3, "learning_rate": 1e-5}) == (
        "epoch=3 learning_rate=0.000010 step_seconds=0.250000"
    )
    assert len(metrics.NAMES) <= 40
    with pytest.raises(KeyError, match="not a metric: test:loss"):
        metrics.line({"test:loss": 1.0})
