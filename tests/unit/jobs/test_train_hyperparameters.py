"""Hyperparameters arrive as strings, and a wrong one is named with what is allowed."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from jobs.errors import JobError
from jobs.training.hyperparameters import Hyperparameters
from settings import TrainingSettings

REQUIRED = {"model_version": "v1-1", "dataset_version": "v1"}


def read(folder: Path, **given: str) -> Hyperparameters:
    path = folder / "hyperparameters.json"
    path.write_text(json.dumps(REQUIRED | given))
    return Hyperparameters.read(path)


def test_strings_become_values(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        network="resnet50",
        pretrained="true",
        deterministic="False",
        epochs="3",
        learning_rate="1e-3",
        warm_up_share="0",
        sagemaker_program="x",
    )
    assert (found.network, found.pretrained, found.deterministic) == ("resnet50", True, False)
    assert (found.epochs, found.learning_rate, found.warm_up_share) == (3, 0.001, 0.0)


def test_what_is_not_given_is_what_the_settings_have() -> None:
    settings = TrainingSettings()
    defaults = asdict(Hyperparameters(**REQUIRED))
    shared = [field.name for field in fields(Hyperparameters) if hasattr(settings, field.name)]
    assert len(shared) == 15
    assert {name: defaults[name] for name in shared} == {name: getattr(settings, name) for name in shared}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("image_pixels", "100", "hyperparameter image_pixels is 100: it must be a multiple of 32, 32 to 1024"),
        ("epochs", "0", "hyperparameter epochs is 0: it must be 1 to 10,000"),
        ("epochs", "many", "hyperparameter epochs is 'many': it must be a whole number"),
        ("batch_size", "1", "hyperparameter batch_size is 1: it must be 2 to 65,536"),
        ("accumulation", "0", "hyperparameter accumulation is 0: it must be 1 to 1,024"),
        ("learning_rate", "nan", "hyperparameter learning_rate is nan: it must be above 0, at most 10"),
        ("learning_rate", "fast", "hyperparameter learning_rate is 'fast': it must be a number"),
        ("weight_decay", "1", "hyperparameter weight_decay is 1.0: it must be at least 0 and below 1"),
        ("label_smoothing", "-0.1", "hyperparameter label_smoothing is -0.1: it must be at least 0 and below 1"),
        ("normalization", "layer", "hyperparameter normalization is layer: it must be one of batch, group"),
        ("class_weights", "yes", "hyperparameter class_weights is yes: it must be one of none, balanced"),
        ("precision", "half", "hyperparameter precision is half: it must be one of auto, float32, bfloat16, float16"),
        ("deterministic", "1", "hyperparameter deterministic is '1': it must be true or false"),
        ("seed", "-1", "hyperparameter seed is -1: it must be 0 or more"),
        ("unreadable_share", "1", "hyperparameter unreadable_share is 1.0: it must be at least 0 and below 1"),
        ("momentum", "0.9", "unknown hyperparameter 'momentum'; known are model_version"),
        ("model_version", "", "the hyperparameter 'model_version' is missing"),
    ],
)
def test_one_that_is_not_allowed_is_named(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    with pytest.raises(JobError) as refused:
        read(tmp_path, **{name: value})
    assert str(refused.value).startswith(sentence)


def test_a_batch_has_an_image_for_every_process_and_part(tmp_path: Path) -> None:
    chosen = read(tmp_path, batch_size="8", accumulation="2")
    assert chosen.for_processes(4).largest_part(4) == 1
    assert chosen.largest_part(3) == 2
    with pytest.raises(JobError, match="batch_size 8 is divided among 5 processes times accumulation 2, which leaves"):
        chosen.for_processes(5)


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.json"
    path.write_text("[]")
    with pytest.raises(JobError, match=r"hyperparameters\.json must hold an object of strings"):
        Hyperparameters.read(path)
