"""The verb `train`: a dataset version in, a model package out."""

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from jobs.errors import JobError
from jobs.paths import Root, read_json, write_json
from jobs.training import dataset as datasets
from jobs.training import networks, precision
from jobs.training.calibration import calibrate
from jobs.training.dataset import Dataset
from jobs.training.evaluation import logits_of, loss_and_accuracy
from jobs.training.export import export, try_export
from jobs.training.fit import fit
from jobs.training.hyperparameters import Hyperparameters
from jobs.training.launch import Cluster, launch
from jobs.training.processes import Processes, joined, launched

PROBLEMS_PRINTED: Final = 20


def run(root: Root, arguments: list[str]) -> None:
    """
    Raises:
        JobError: what was given cannot be trained on.
        Interrupted: on SIGTERM, after a checkpoint.
    """
    if arguments:
        raise JobError(f"train takes hyperparameters, not arguments; got {arguments[0]!r}")
    chosen = Hyperparameters.read(root.hyperparameters)
    cluster = Cluster.of(root)
    if cluster.options and not launched(os.environ):
        chosen.for_processes(cluster.processes)
        launch(cluster.options, cluster.environment)
        return
    with joined() as processes:
        # torchrun may have been started by hand, with any number of them.
        _train(root, chosen.for_processes(processes.size), processes)


def _train(root: Root, chosen: Hyperparameters, processes: Processes) -> None:
    started = time.monotonic()
    if processes.first:
        # The log of a GPU instance tells whether its GPU was used.
        print(f"training on {processes.size} x {_device(processes)}", flush=True)
    dataset = datasets.load(
        root.channel("dataset"),
        root.channel("images"),
        attribute=chosen.label_attribute,
        pixels=chosen.image_pixels,
        unreadable_share=chosen.unreadable_share,
        scratch=root.path / "scratch" / "decoded",
        processes=processes,
    )
    if processes.first:
        _tell(dataset, root)
    precision.prepare(chosen, processes.device)
    network = networks.build(
        chosen.network,
        classes=len(dataset.labels),
        pixels=chosen.image_pixels,
        normalization=chosen.normalization,
        pretrained=chosen.pretrained,
    )
    if processes.first:
        try_export(network, name=chosen.network, pixels=chosen.image_pixels)
    network = fit(network, dataset, chosen, root.checkpoints, processes)
    part = chosen.largest_part(processes.size)
    logits = {name: logits_of(network, split, processes, batch_size=part) for name, split in dataset.splits.items()}
    if not processes.first:
        return
    metrics = _metrics(dataset, logits)
    # On the validation split: what is fitted on the train split could not be believed, and the test split is for the
    # evaluation, which has not seen it either.
    calibration = calibrate(logits["validation"].numpy(), dataset.splits["validation"].targets.numpy())
    description = {
        "model_version": chosen.model_version,
        "dataset_version": chosen.dataset_version,
        "task": "classification",
        "labels": dataset.labels,
        "temperature": calibration.temperature,
        "uncertain_below": calibration.uncertain_below,
        "unknown_above_energy": calibration.unknown_above_energy,
        "calibration": {"split": "validation", "before": calibration.before, "after": calibration.after},
        "metrics": metrics,
        "human_level": dataset.human_level,
        "epochs": chosen.epochs,
        "hyperparameters": asdict(chosen),
        "unreadable_images": len(dataset.unreadable),
        "code_hash": code_hash(),
        "training": _circumstances(root, processes) | {"last_attempt_seconds": round(time.monotonic() - started, 1)},
    }
    export(
        network,
        dataset,
        name=chosen.network,
        pixels=chosen.image_pixels,
        folder=root.model,
        description=description,
    )
    print(" ".join(f"{name}={value:.4f}" for name, value in metrics.items() if "accuracy" in name), flush=True)


def _tell(dataset: Dataset, root: Root) -> None:
    """The first images that are left out in the log, all of them in a file that the job's output has."""
    for problem in dataset.unreadable[:PROBLEMS_PRINTED]:
        print(f"skipped unreadable image {problem}", flush=True)
    write_json(root.output_data / "unreadable.json", dataset.unreadable)
    counts = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    print(f"{len(dataset.labels)} classes, {counts} objects, {len(dataset.unreadable)} unreadable", flush=True)


def _metrics(dataset: Dataset, logits: Mapping[str, Tensor]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, split in dataset.splits.items():
        loss, accuracy = loss_and_accuracy(logits[name], split.targets)
        found |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy, f"{name}_objects": len(split)}
    return found


def _device(processes: Processes) -> str:
    return torch.cuda.get_device_name(processes.device) if processes.device.type == "cuda" else "processor"


def _circumstances(root: Root, processes: Processes) -> dict[str, Any]:
    """Where and in what a model was trained: what a later difference may come from."""
    resources = read_json(root.resources) if root.resources.exists() else {}
    return {
        "image": os.environ.get("REEFLOOP_IMAGE"),
        "base_image": os.environ.get("REEFLOOP_BASE_IMAGE"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "instance_type": resources.get("current_instance_type"),
        "hosts": len(resources.get("hosts", [None])),
        "processes": processes.size,
        "device": _device(processes),
    }


def code_hash() -> str:
    """SHA-256 of every Python file of this package: which code made a model."""
    package = Path(__file__).resolve().parents[1]
    mixed = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        mixed.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return mixed.hexdigest()
