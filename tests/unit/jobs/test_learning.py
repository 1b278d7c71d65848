"""The recipe learns what there is to learn, and nothing that there is not: a leak would show with shuffled labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.labeling.intervals import wilson
from jobs.training import networks, precision
from jobs.training.dataset import load
from jobs.training.evaluation import logits_of
from jobs.training.fit import fit
from jobs.training.hyperparameters import Hyperparameters
from jobs.training.processes import Processes
from tests.unit.jobs.bench import ATTRIBUTE, Bucket, write_lines
from tests.unit.jobs.images import CLASSES, picture

PIXELS = 32
COUNTS = {"train": 60, "validation": 60}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bucket, list[dict[str, str]]]:
    bucket = Bucket(tmp_path_factory.mktemp("bucket"), list(CLASSES))
    names = [CLASSES[number % len(CLASSES)] for number in range(sum(COUNTS.values()))]
    return bucket, [
        bucket.put_image(f"images/{number}.png", picture(name, number, PIXELS), name)
        for number, name in enumerate(names)
    ]


def interval_of_accuracy(
    bucket: Bucket, lines: list[dict[str, str]], names: list[str], scratch: Path
) -> tuple[float, float]:
    """The 95 % interval of a model's accuracy on the validation split, trained on these labels."""
    labeled = [bucket.labeled(line, name) for line, name in zip(lines, names, strict=True)]
    folder = bucket.dataset(scratch.name)
    write_lines(folder / "train.manifest", labeled[: COUNTS["train"]])
    write_lines(folder / "validation.manifest", labeled[COUNTS["train"] :])
    (folder / "card.json").write_text(json.dumps({"labels": CLASSES}))
    chosen = Hyperparameters(
        model_version="m", dataset_version="d", image_pixels=PIXELS, epochs=3, batch_size=16, learning_rate=0.005
    )
    processes = Processes.alone(torch.device("cpu"))
    precision.prepare(chosen, processes.device)
    dataset = load(
        folder,
        bucket.folder,
        attribute=ATTRIBUTE,
        pixels=PIXELS,
        unreadable_share=0,
        scratch=scratch,
        processes=processes,
    )
    network = networks.build("reef", classes=3, pixels=PIXELS, normalization="batch", pretrained=False)
    network = fit(network, dataset, chosen, scratch / "checkpoints", processes)
    validation = dataset.splits["validation"]
    logits = logits_of(network, validation, processes, batch_size=32)
    return wilson(int((logits.argmax(1) == validation.targets).sum()), len(validation))


def test_true_labels_are_learned(pictures: tuple[Bucket, list[dict[str, str]]], tmp_path: Path) -> None:
    bucket, lines = pictures
    low, _ = interval_of_accuracy(bucket, lines, [bucket.truth[line["source-ref"]] for line in lines], tmp_path)
    assert low > 0.8


def test_shuffled_labels_are_not(pictures: tuple[Bucket, list[dict[str, str]]], tmp_path: Path) -> None:
    bucket, lines = pictures
    names = [bucket.truth[line["source-ref"]] for line in lines]
    np.random.default_rng(1).shuffle(names)
    low, high = interval_of_accuracy(bucket, lines, names, tmp_path)
    assert low < 1 / len(CLASSES) < high
