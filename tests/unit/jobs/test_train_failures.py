"""What cannot be trained on ends within seconds, with a sentence that says what it is and what to do."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs import driver
from jobs.training import checkpoints, fit, step
from jobs.training.processes import Processes
from tests.unit.jobs.bench import ATTRIBUTE, Bucket, train, write_lines
from tests.unit.jobs.trainings import hyperparameters, put_dataset

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dataset(bucket: Bucket) -> Bucket:
    put_dataset(bucket, counts={"train": 30, "validation": 9})
    return bucket


def failure(root: Path) -> str:
    return (root / "output" / "failure").read_text()


def corrupt_everything(bucket: Bucket) -> None:
    for path in (bucket.folder / "images/upload").iterdir():
        path.write_bytes(b"")


def corrupt_some(bucket: Bucket) -> None:
    for number in (0, 1):
        (bucket.folder / f"images/upload/v1-{number}.png").write_bytes(b"\x89PNG")


def empty_train_manifest(bucket: Bucket) -> None:
    (bucket.dataset("v1") / "train.manifest").write_text("")


def empty_validation_manifest(bucket: Bucket) -> None:
    (bucket.dataset("v1") / "validation.manifest").write_text("")


def one_class(bucket: Bucket) -> None:
    path = bucket.dataset("v1") / "train.manifest"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    write_lines(path, [bucket.labeled(line, "disc") for line in lines])


def unknown_class(bucket: Bucket) -> None:
    path = bucket.dataset("v1") / "validation.manifest"
    path.write_text(path.read_text().replace('"class-name": "disc"', '"class-name": "whale"'))


def no_card(bucket: Bucket) -> None:
    (bucket.dataset("v1") / "card.json").unlink()


def broken_line(bucket: Bucket) -> None:
    path = bucket.dataset("v1") / "validation.manifest"
    path.write_text(path.read_text() + "{\n")


def other_attribute(bucket: Bucket) -> None:
    path = bucket.dataset("v1") / "train.manifest"
    path.write_text(path.read_text().replace(ATTRIBUTE, "genus"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (corrupt_everything, "39 of 39 images cannot be read and training.unreadable_share 0.01 allows 0: repair"),
        (corrupt_some, "2 of 39 images cannot be read and training.unreadable_share 0.01 allows 0: repair"),
        (empty_train_manifest, "train.manifest is empty: label more images"),
        (empty_validation_manifest, "the validation split cannot be used: it has no objects"),
        (one_class, "the train split has one class only, 'disc': training needs at least two"),
        (unknown_class, "validation.manifest, line 2 has the unknown class 'whale'; known are stripes, disc, noise"),
        (no_card, "card.json is missing"),
        (broken_line, "validation.manifest, line 10 is not JSON"),
        (other_attribute, "train.manifest, line 1 has no label attribute 'species'"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_refused_in_one_sentence(
    dataset: Bucket, tmp_path: Path, spoil: Callable[[Bucket], None], sentence: str
) -> None:
    spoil(dataset)
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert sentence in failure(tmp_path / "ml")
    assert "\n" not in failure(tmp_path / "ml")


def test_a_missing_channel_is_named_by_the_real_process_within_seconds(tmp_path: Path) -> None:
    hyperparameters(tmp_path)
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "train"],
        cwd=ROOT,
        env={**os.environ, "ML_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert failure(tmp_path).startswith("the training job has no channel 'dataset': expected its files in ")
    assert done.stderr == f"error: {failure(tmp_path)}\n"
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 30


def test_a_network_that_does_not_exist_or_cannot_be_had_here_is_refused_before_the_first_step(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", network="resnet999") == 1
    assert "resnet999" in failure(tmp_path / "ml")
    assert "epoch=" not in capsys.readouterr().out


def test_a_network_that_cannot_be_exported_is_refused_before_the_first_step(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Spectrum(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.fft.rfft(images).real.mean((1, 2))[:, :3]

    monkeypatch.setattr("jobs.training.networks.build", lambda *_arguments, **_options: Spectrum())
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert failure(tmp_path / "ml").startswith("network 'reef' cannot be exported to ONNX opset 11")
    assert "epoch=" not in capsys.readouterr().out


def test_a_loss_that_is_no_number_names_the_step_and_leaves_no_checkpoint(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = step.augmented, 0

    def spoiled(images: torch.Tensor, objects: Any, **key: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return honest(images, objects, **key) * (torch.nan if calls > 2 * 4 else 1)

    monkeypatch.setattr(step, "augmented", spoiled)
    assert train(dataset, tmp_path / "ml", "v1", accumulation=2, epochs=3) == 1
    assert failure(tmp_path / "ml").startswith(
        "the loss became nan in epoch 1, step 5: lower training.learning_rate from 0.005, or set training.precision"
    )
    assert calls == 2 * fit.CHECK_STEPS
    assert not list((tmp_path / "ml").glob("checkpoints/*"))


def test_a_full_disk_says_which_setting_and_makes_place_for_saying_it(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state: object, file: Any) -> None:
        # Python's own file objects keep the reason; torch then raises an error that does not have it.
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise RuntimeError("unexpected pos 64 vs 0") from error

    monkeypatch.setattr(checkpoints.torch, "save", full)
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert failure(tmp_path / "ml") == (
        "the disk is full (No space left on device): raise training.volume_gib, or take an instance type with a larger "
        "disk"
    )
    assert not (tmp_path / "ml/scratch").exists()
    assert not list((tmp_path / "ml/checkpoints").iterdir())


def test_what_torch_raises_on_a_full_disk_is_understood(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = torch.save
    monkeypatch.setattr(checkpoints.torch, "save", lambda state, _file: _write_to_a_full_disk(honest, state))
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert "the disk is full" in failure(tmp_path / "ml")
    assert failure(tmp_path / "ml").endswith("take an instance type with a larger disk")


def _write_to_a_full_disk(save: Callable[..., None], state: object) -> None:
    with Path("/dev/full").open("wb") as file:
        save(state, file)


def test_too_little_memory_of_the_gpu_says_what_to_change(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_arguments: object, **_options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(step.Trainer, "step", out_of_memory)
    assert train(dataset, tmp_path / "ml", "v1", accumulation=2) == 1
    assert failure(tmp_path / "ml").startswith(
        "the GPU's memory is too small for 8 images of 32 pixels at once: raise training.accumulation from 2, or lower "
        "training.batch_size; CUDA out of memory"
    )


def test_parts_too_small_for_the_network_say_what_to_change(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nn = torch.nn
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 3))
    monkeypatch.setattr("jobs.training.networks.build", lambda *_arguments, **_options: network)
    assert train(dataset, tmp_path / "ml", "v1", batch_size=3, accumulation=2) == 1
    assert "a single value left at its end: lower training.accumulation from 2" in failure(tmp_path / "ml")


def test_a_gpu_that_torch_cannot_use_is_not_replaced_by_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.driver.HOST", driver.Host(version=tmp_path))
    with pytest.raises(Exception, match="has an NVIDIA driver, but PyTorch can use no GPU: run the container with"):
        Processes.alone()


def test_the_first_of_several_processes_to_fail_says_why(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_card(dataset)
    path = tmp_path / "ml" / "output" / "failure"
    path.parent.mkdir(parents=True)
    path.write_text("the reason of the first")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *_arguments, **_options: None)
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert path.read_text() == "the reason of the first"
    # The one that starts the others starts with no reason.
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert "card.json is missing" in path.read_text()
