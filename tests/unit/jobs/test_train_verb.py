"""The training job: it learns, survives being stopped, and says in one sentence what it cannot use."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from jobs import images
from jobs.labeling.champion import Champion
from jobs.training import fit
from jobs.training.data import SPLITS
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, train, write_lines
from tests.unit.jobs.images import CLASSES, picture

ROOT = Path(__file__).resolve().parents[3]
OBJECTS = {"train": 60, "validation": 18, "test": 18}


@pytest.fixture
def dataset(bucket: Bucket) -> Bucket:
    """A bucket with the dataset version v1."""
    put_dataset(bucket)
    return bucket


def put_dataset(bucket: Bucket, version: str = "v1", counts: dict[str, int] | None = None) -> None:
    number = 0
    for split, count in (counts or OBJECTS).items():
        lines = []
        for _ in range(count):
            name = CLASSES[number % len(CLASSES)]
            line = bucket.put_image(f"images/upload/{version}-{number}.png", picture(name, number), name)
            lines.append(bucket.labeled(line, name))
            number += 1
        write_lines(bucket.dataset(version) / f"{split}.manifest", lines)
    card = {"version": version, "labels": list(CLASSES), "human_level": {"error": 0.01}}
    (bucket.dataset(version) / "card.json").write_text(json.dumps(card))


def failure(root: Path) -> str:
    return (root / "output" / "failure").read_text()


def model_json(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "model" / "model.json").read_text())
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a training that has ended well."""
    folder = tmp_path_factory.mktemp("trained")
    bucket = Bucket(folder / "bucket", list(CLASSES))
    put_dataset(bucket)
    assert train(bucket, folder / "ml", "v1", epochs=4) == 0
    return folder / "ml"


def test_it_learns_what_can_be_learned(trained: Path) -> None:
    model = model_json(trained)
    assert model["metrics"]["validation_accuracy"] > 0.9
    assert model["metrics"]["test_accuracy"] > 0.9
    assert {f"{split}_objects": count for split, count in OBJECTS.items()}.items() <= model["metrics"].items()


def test_with_shuffled_labels_it_learns_nothing(bucket: Bucket, tmp_path: Path) -> None:
    put_dataset(bucket, counts={"train": 60, "validation": 60, "test": 60})
    rng = np.random.default_rng(1)
    for split in SPLITS:
        path = bucket.dataset("v1") / f"{split}.manifest"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        write_lines(path, [bucket.labeled(line, CLASSES[rng.integers(3)]) for line in lines])
    assert train(bucket, tmp_path / "ml", "v1", epochs=2) == 0
    model = model_json(tmp_path / "ml")
    # 4 standard errors of 60 guesses among three classes.
    assert abs(model["metrics"]["test_accuracy"] - 1 / 3) < 4 * (2 / 9 / 60) ** 0.5
    # A model that knows nothing is sure of nothing: its frames go to review.
    assert model["uncertain_below"] > 0.9 or model["temperature"] > 2


def test_the_package_is_complete(trained: Path) -> None:
    model = model_json(trained)
    assert (model["model_version"], model["dataset_version"], model["task"]) == ("v1-1", "v1", "classification")
    assert model["input"] == {"name": "image", "shape": [1, 3, 32, 32]}
    assert (model["output"], model["epochs"], model["human_level"]) == ("logits", 4, {"error": 0.01})
    assert model["labels"] == json.loads((trained / "model/labels.json").read_text()) == list(CLASSES)
    assert 0 < model["uncertain_below"] <= 1
    assert model["temperature"] > 0
    assert len(model["code_hash"]) == 64


def test_the_graph_is_one_that_compilers_take(trained: Path) -> None:
    graph = onnx.load(str(trained / "model/model.onnx"))
    onnx.checker.check_model(graph, full_check=True)
    assert [one.version for one in graph.opset_import] == [11]
    assert graph.ir_version <= 7
    (given,), (answer,) = graph.graph.input, graph.graph.output
    assert (given.name, answer.name) == ("image", "logits")
    assert [one.dim_value for one in given.type.tensor_type.shape.dim] == [1, 3, 32, 32]
    assert [one.dim_value for one in answer.type.tensor_type.shape.dim] == [1, 3]


def test_the_golden_images_have_the_logits_that_the_package_says(trained: Path) -> None:
    folder = trained / "model" / "golden"
    session = onnxruntime.InferenceSession(str(trained / "model/model.onnx"))
    golden = json.loads((folder / "golden.json").read_text())
    assert [one["label"] for one in golden] == list(CLASSES)
    for one in golden:
        (logits,) = session.run(None, {"image": images.as_input(images.load(folder / one["image"], 32))})
        np.testing.assert_allclose(logits[0], one["logits"], atol=1e-4)
        assert CLASSES[int(logits.argmax())] == one["label"]


def test_the_package_is_one_that_scoring_opens(trained: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(trained / "model", arcname=".")
    champion = Champion.open(tmp_path / "model.tar.gz", tmp_path / "unpacked")
    assert (champion.version, champion.labels, champion.pixels) == ("v1-1", list(CLASSES), 32)


def test_every_epoch_is_one_line_that_metric_definitions_can_read(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=2) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch=")]
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        values = dict(part.split("=") for part in line.split())
        assert list(values) == [
            "epoch", "train:loss", "train:accuracy", "validation:loss", "validation:accuracy",
        ]  # fmt: skip
        assert int(values.pop("epoch")) == number
        assert all(float(value) >= 0 for value in values.values())


def test_the_same_seed_gives_the_same_model(dataset: Bucket, tmp_path: Path) -> None:
    found = []
    for attempt in range(2):
        assert train(dataset, tmp_path / f"ml-{attempt}", "v1", epochs=1) == 0
        found.append((tmp_path / f"ml-{attempt}" / "model" / "model.onnx").read_bytes())
    assert found[0] == found[1]
    assert train(dataset, tmp_path / "ml-2", "v1", epochs=1, seed=2) == 0
    assert (tmp_path / "ml-2" / "model" / "model.onnx").read_bytes() != found[0]


def test_a_training_stopped_by_sigterm_goes_on_where_it_was(dataset: Bucket, tmp_path: Path) -> None:
    epochs, root = 6, tmp_path / "ml"
    assert train(dataset, tmp_path / "undisturbed", "v1", epochs=epochs) == 0
    shutil.copytree(tmp_path / "undisturbed" / "input", root / "input", symlinks=True)
    environment = {**os.environ, "ML_ROOT": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jobs", "train"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout
        for line in job.stdout:
            if line.startswith("epoch=2 "):
                job.send_signal(signal.SIGTERM)
                break
        job.stdout.read()
    assert job.returncode == 143
    assert not (root / "model").exists()
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    resumed = re.search(r"resumed at epoch (\d+), step \d+ of 19", again.stdout)
    assert resumed
    assert 3 <= int(resumed[1]) <= epochs
    assert model_json(root)["metrics"] == model_json(tmp_path / "undisturbed")["metrics"]


def test_a_damaged_checkpoint_is_passed_over(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=2) == 0
    newest = max((tmp_path / "ml" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    before = model_json(tmp_path / "ml")["metrics"]
    assert train(dataset, tmp_path / "ml", "v1", epochs=2) == 0
    output = capsys.readouterr().out
    assert f"{newest.name} is damaged" in output
    assert "resumed at epoch 2" in output
    assert model_json(tmp_path / "ml")["metrics"] == before


def test_a_checkpoint_of_another_training_is_passed_over(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=1) == 0
    assert train(dataset, tmp_path / "ml", "v1", epochs=1, seed=2) == 0
    assert "is of another training" in capsys.readouterr().out


def test_corrupt_images_are_named_counted_and_skipped(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset.folder / "images/upload/v1-0.png").write_bytes(b"\x89PNG nothing")
    (dataset.folder / "images/upload/v1-1.png").unlink()
    assert train(dataset, tmp_path / "ml", "v1", epochs=1) == 0
    output = capsys.readouterr().out
    assert f"skipped unreadable image {BUCKET}images/upload/v1-0.png: UnidentifiedImageError" in output
    assert "58 train, 18 validation, 18 test objects, 2 unreadable" in output
    assert model_json(tmp_path / "ml")["unreadable_images"] == 2
    assert model_json(tmp_path / "ml")["metrics"]["train_objects"] == 58


def corrupt_everything(bucket: Bucket) -> None:
    for path in (bucket.folder / "images/upload").iterdir():
        path.write_bytes(b"")


def empty_train_manifest(bucket: Bucket) -> None:
    (bucket.dataset("v1") / "train.manifest").write_text("")


def empty_test_manifest(bucket: Bucket) -> None:
    (bucket.dataset("v1") / "test.manifest").write_text("")


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
    path = bucket.dataset("v1") / "test.manifest"
    path.write_text(path.read_text() + "{\n")


def other_attribute(bucket: Bucket) -> None:
    path = bucket.dataset("v1") / "train.manifest"
    path.write_text(path.read_text().replace(ATTRIBUTE, "genus"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (corrupt_everything, "the train split cannot be used: none of its 60 images can be decoded, first s3://"),
        (empty_train_manifest, "train.manifest is empty: label more images"),
        (empty_test_manifest, "the test split cannot be used: it has no objects"),
        (one_class, "the train split has one class only, 'disc': training needs at least two"),
        (unknown_class, "validation.manifest, line 2 has the unknown class 'whale'; known are stripes, disc, noise"),
        (no_card, "card.json is missing"),
        (broken_line, "test.manifest, line 19 is not JSON"),
        (other_attribute, "train.manifest, line 1 has no label attribute 'species'"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_refused_in_one_sentence(
    dataset: Bucket, tmp_path: Path, spoil: Any, sentence: str
) -> None:
    spoil(dataset)
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert sentence in failure(tmp_path / "ml")
    assert "\n" not in failure(tmp_path / "ml")


def test_a_missing_channel_is_named(dataset: Bucket, tmp_path: Path) -> None:
    assert train(dataset, tmp_path / "ml", "v2") == 1
    assert "the training job has no channel 'dataset'" in failure(tmp_path / "ml")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("image_pixels", "100", "hyperparameter image_pixels is 100: it must be a multiple of 32"),
        ("epochs", "0", "hyperparameter epochs is 0: it must be at least 1"),
        ("epochs", "many", "hyperparameter epochs is 'many': it must be a int"),
        ("batch_size", "1", "hyperparameter batch_size is 1"),
        ("learning_rate", "nan", "hyperparameter learning_rate is nan"),
        ("seed", "-1", "hyperparameter seed is -1"),
        ("momentum", "0.9", "unknown hyperparameter 'momentum'; known are model_version"),
        ("model_version", "", "the hyperparameter 'model_version' is missing"),
    ],
)
def test_a_hyperparameter_that_is_not_allowed_is_named(
    dataset: Bucket, tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", **{name: value}) == 1
    assert sentence in failure(tmp_path / "ml")


def test_a_loss_that_is_no_number_ends_the_training(
    dataset: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "augmented", lambda images, _generator: images * torch.nan)
    assert train(dataset, tmp_path / "ml", "v1") == 1
    assert "the loss became nan in epoch 1: lower learning_rate" in failure(tmp_path / "ml")


def test_two_classes_are_enough(bucket: Bucket, tmp_path: Path) -> None:
    for split, count in OBJECTS.items():
        lines = []
        for number in range(count):
            name = CLASSES[number % 2]
            line = bucket.put_image(f"images/{split}-{number}.png", picture(name, number + 1000 * len(split)), name)
            lines.append(bucket.labeled(line, name))
        write_lines(bucket.dataset("v1") / f"{split}.manifest", lines)
    (bucket.dataset("v1") / "card.json").write_text("{}")
    assert train(bucket, tmp_path / "ml", "v1", epochs=1) == 0
    # Without a card's order the classes are sorted.
    assert model_json(tmp_path / "ml")["labels"] == ["disc", "stripes"]
