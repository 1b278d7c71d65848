"""The training job: it learns, resumes, counts what it cannot read, and its log is one that metrics are read from."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from jobs import images
from jobs.model_package import ModelPackage
from jobs.training import metrics
from tests.unit.jobs.bench import BUCKET, Bucket, train, write_lines
from tests.unit.jobs.images import CLASSES, picture
from tests.unit.jobs.trainings import OBJECTS, put_dataset, resources


@pytest.fixture
def dataset(bucket: Bucket) -> Bucket:
    """A bucket with the dataset version v1."""
    put_dataset(bucket)
    return bucket


def model_json(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "model" / "model.json").read_text())
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a training that has ended well."""
    folder = tmp_path_factory.mktemp("trained")
    bucket = Bucket(folder / "bucket", list(CLASSES))
    put_dataset(bucket)
    resources(folder / "ml", ["algo-1"], "algo-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REEFLOOP_IMAGE", "jobs@sha256:42")
        assert train(bucket, folder / "ml", "v1", epochs=3) == 0
    return folder / "ml"


def test_it_learns_what_can_be_learned(trained: Path) -> None:
    model = model_json(trained)
    assert model["metrics"]["validation_accuracy"] > 0.9
    assert model["metrics"]["train_accuracy"] > 0.9
    assert {f"{split}_objects": count for split, count in OBJECTS.items()}.items() <= model["metrics"].items()


def test_it_never_touches_the_test_split(trained: Path) -> None:
    assert not [name for name in model_json(trained)["metrics"] if name.startswith("test")]
    assert not (trained / "input/data/dataset/test.manifest").exists()


def test_the_package_says_what_the_model_is_and_what_it_comes_from(trained: Path) -> None:
    model = model_json(trained)
    assert (model["model_version"], model["dataset_version"], model["task"]) == ("v1-1", "v1", "classification")
    assert model["input"] == {"name": "image", "shape": [1, 3, 32, 32]}
    assert (model["output"], model["epochs"], model["human_level"]) == ("logits", 3, {"error": 0.01})
    assert model["labels"] == json.loads((trained / "model/labels.json").read_text()) == list(CLASSES)
    assert 0 < model["uncertain_below"] <= 1
    assert model["unknown_above_energy"] is None  # 18 objects tell nothing of it
    assert model["temperature"] > 0
    assert 0 <= model["calibration"]["after"] <= 1
    assert len(model["code_hash"]) == 64
    assert (model["hyperparameters"]["learning_rate"], model["hyperparameters"]["deterministic"]) == (0.005, False)
    training = model["training"]
    assert (training["image"], training["instance_type"], training["hosts"]) == ("jobs@sha256:42", "ml.g5.xlarge", 1)
    assert (training["processes"], training["device"]) == (1, "processor")
    assert training["last_attempt_seconds"] > 0


def test_the_graph_is_one_that_compilers_take_and_gives_the_golden_logits(trained: Path) -> None:
    graph = onnx.load(str(trained / "model/model.onnx"))
    assert ([one.version for one in graph.opset_import], graph.ir_version <= 7) == ([11], True)
    session = onnxruntime.InferenceSession(str(trained / "model/model.onnx"))
    golden = json.loads((trained / "model/golden/golden.json").read_text())
    assert [one["label"] for one in golden] == list(CLASSES)
    for one in golden:
        (logits,) = session.run(
            None, {"image": images.as_input(images.load(trained / "model/golden" / one["image"], 32))}
        )
        np.testing.assert_allclose(logits[0], one["logits"], atol=1e-4)


def test_the_package_is_one_that_scoring_opens(trained: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(trained / "model", arcname=".")
    package = ModelPackage.open(tmp_path / "model.tar.gz", tmp_path / "unpacked")
    assert (package.version, package.labels, package.pixels) == ("v1-1", list(CLASSES), 32)


def test_every_epoch_is_one_line_that_metric_definitions_can_read(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=2) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch=")]
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        values = dict(part.split("=") for part in line.split())
        assert list(values) == [name for name in metrics.NAMES if name != "gpu_memory_gib"]
        assert int(values.pop("epoch")) == number
        assert all(re.fullmatch(r"\d+\.\d+", value) for value in values.values())
        assert 0 < float(values["data_wait_share"]) < 1


def test_the_same_seed_gives_the_same_model(dataset: Bucket, tmp_path: Path) -> None:
    found = []
    for attempt in range(2):
        assert train(dataset, tmp_path / f"ml-{attempt}", "v1", epochs=1) == 0
        found.append((tmp_path / f"ml-{attempt}" / "model" / "model.onnx").read_bytes())
    assert found[0] == found[1]
    assert train(dataset, tmp_path / "ml-2", "v1", epochs=1, seed=2) == 0
    assert (tmp_path / "ml-2" / "model" / "model.onnx").read_bytes() != found[0]


def test_a_finished_training_that_starts_again_only_writes_its_model_again(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=2) == 0
    before, told = model_json(tmp_path / "ml")["metrics"], capsys.readouterr().out
    checkpoints = sorted((tmp_path / "ml/checkpoints").iterdir())
    assert train(dataset, tmp_path / "ml", "v1", epochs=2) == 0
    again = capsys.readouterr().out
    assert "resumed at epoch 2, step 18 of 18" in again
    assert model_json(tmp_path / "ml")["metrics"] == before
    assert sorted((tmp_path / "ml/checkpoints").iterdir()) == checkpoints

    def last_epoch(log: str) -> list[str]:
        return next(line for line in log.splitlines() if line.startswith("epoch=2")).split()[:5]

    assert last_epoch(again) == last_epoch(told)


def test_a_checkpoint_of_another_training_is_passed_over_and_left_alone(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=1) == 0
    before = set((tmp_path / "ml/checkpoints").iterdir())
    assert train(dataset, tmp_path / "ml", "v1", epochs=1, seed=2) == 0
    assert "1 checkpoints are of another training and passed over" in capsys.readouterr().out
    assert before < set((tmp_path / "ml/checkpoints").iterdir())


def test_another_accumulation_and_precision_go_on_where_the_training_was(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "ml", "v1", epochs=1) == 0
    assert train(dataset, tmp_path / "ml", "v1", epochs=1, accumulation=4, precision="float32") == 0
    assert "resumed at epoch 1" in capsys.readouterr().out


def test_corrupt_images_are_named_counted_and_skipped(
    dataset: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset.folder / "images/upload/v1-0.png").write_bytes(b"\x89PNG nothing")
    (dataset.folder / "images/upload/v1-1.png").unlink()
    assert train(dataset, tmp_path / "ml", "v1", epochs=1, unreadable_share=0.05) == 0
    output = capsys.readouterr().out
    assert f"skipped unreadable image {BUCKET}images/upload/v1-0.png: UnidentifiedImageError" in output
    assert "58 train, 18 validation objects, 2 unreadable" in output
    assert model_json(tmp_path / "ml")["unreadable_images"] == 2
    assert model_json(tmp_path / "ml")["metrics"]["train_objects"] == 58
    listed = json.loads((tmp_path / "ml/output/data/unreadable.json").read_text())
    assert [line.split(": ")[0] for line in listed] == [f"{BUCKET}images/upload/v1-{number}.png" for number in (0, 1)]


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


def test_what_a_stopped_training_wrote_is_no_model(dataset: Bucket, tmp_path: Path) -> None:
    """A signal that comes while the dataset is read ends the job at once, with nothing said to have failed."""
    (tmp_path / "ml").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.training.dataset.decoded_once", _told_to_stop)
        assert train(dataset, tmp_path / "ml", "v1") == 143
    assert not (tmp_path / "ml/output/failure").exists()
    assert not (tmp_path / "ml/model").exists()


def _told_to_stop(*_arguments: object, **_options: object) -> None:
    from jobs.errors import Interrupted

    raise Interrupted("told to stop")
