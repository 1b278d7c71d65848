"""The verb `train`: a dataset version in, a model package out."""

import hashlib
from pathlib import Path
from typing import Any

from jobs.errors import JobError
from jobs.paths import Root
from jobs.training import data
from jobs.training.evaluation import logits_of, loss_and_accuracy, temperature_of, uncertain_below
from jobs.training.export import export
from jobs.training.fit import fit
from jobs.training.hyperparameters import Hyperparameters


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: what was given cannot be trained on.
        Interrupted: on SIGTERM, after a checkpoint.
    """
    if arguments:
        raise JobError(f"train takes hyperparameters, not arguments; got {arguments[0]!r}")
    chosen = Hyperparameters.read(root.hyperparameters)
    dataset = data.load(
        root.channel("dataset"), root.channel("images"), attribute=chosen.label_attribute, pixels=chosen.image_pixels
    )
    for problem in dataset.unreadable:
        print(f"skipped unreadable image {problem}", flush=True)
    counts = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    print(f"{len(dataset.labels)} classes, {counts} objects, {len(dataset.unreadable)} unreadable", flush=True)

    network = fit(dataset, chosen, root.checkpoints)
    metrics: dict[str, Any] = {}
    logits = {name: logits_of(network, split.images) for name, split in dataset.splits.items()}
    for name, split in dataset.splits.items():
        loss, accuracy = loss_and_accuracy(logits[name], split.targets)
        metrics |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy, f"{name}_objects": len(split)}
    # Not on the test split: a number that was fitted there could not be believed there.
    held_out = logits["validation"], dataset.splits["validation"].targets
    temperature = temperature_of(*held_out)
    description = {
        "model_version": chosen.model_version,
        "dataset_version": chosen.dataset_version,
        "task": "classification",
        "labels": dataset.labels,
        "temperature": temperature,
        "uncertain_below": uncertain_below(*held_out, temperature),
        "metrics": metrics,
        "human_level": dataset.human_level,
        "epochs": chosen.epochs,
        "unreadable_images": len(dataset.unreadable),
        "code_hash": code_hash(),
    }
    export(network, dataset, chosen.image_pixels, root.model, description)
    print(" ".join(f"{name}={value:.4f}" for name, value in metrics.items() if "accuracy" in name), flush=True)


def code_hash() -> str:
    """SHA-256 of every Python file of this package: which code made a model."""
    package = Path(__file__).resolve().parents[1]
    mixed = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        mixed.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return mixed.hexdigest()
