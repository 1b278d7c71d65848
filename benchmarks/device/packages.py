"""Model packages as a core device gets them: one that knows the demo's species, others for their speed alone."""

import contextlib
import hashlib
import io
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

# First, since it makes the project importable.
from learning import SPECIES, drawn, laptop  # isort: skip

import numpy as np
import torch
from PIL import Image
from torch import nn

from jobs import images
from jobs.paths import Root, write_json
from jobs.training import train
from jobs.training.export import INPUT, OPSET, OUTPUT

VERSION = "bench-00000000"


def trained(folder: Path, seed: int = 1) -> Path:
    """The demo's model, from the training job itself with the laptop stage's numbers; about 20 s of one core."""
    root = Root(folder / "job")
    place = root.path / "input" / "data" / "images"
    place.mkdir(parents=True)
    (place.parent / "dataset").symlink_to(drawn(place, seed, shuffled=False))
    asked = asdict(laptop(seed=seed)) | {"model_version": VERSION}
    write_json(root.hyperparameters, {name: str(value) for name, value in asked.items()})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        train.run(root, [])
    torch.set_num_threads(threads)
    (root.model / "model.pth").unlink(missing_ok=True)
    return sealed(root.model)


def untrained(folder: Path, network: nn.Module, *, pixels: int, classes: int) -> Path:
    """A package of a network as it is. Its golden logits are its own, so that it passes its self-test."""
    (folder / "golden").mkdir(parents=True)
    network = network.eval()
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and the only one that writes opset 11.
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 3, pixels, pixels)
        names: dict[str, Any] = {"input_names": [INPUT], "output_names": [OUTPUT]}
        torch.onnx.export(network, (example,), str(folder / "model.onnx"), dynamo=False, opset_version=OPSET, **names)
    picture = np.random.default_rng(1).integers(0, 256, (pixels, pixels, 3), np.uint8)
    Image.fromarray(picture).save(folder / "golden" / "000.png")
    with torch.inference_mode():
        logits = network(torch.from_numpy(images.as_input(picture)))[0].tolist()
    labels = [*SPECIES, *map(str, range(classes))][:classes]
    write_json(
        folder / "golden" / "golden.json",
        [{"image": "000.png", "label": labels[int(np.argmax(logits))], "logits": logits}],
    )
    write_json(folder / "labels.json", labels)
    model = {
        "model_version": VERSION,
        "dataset_version": "none",
        "task": "classification",
        "labels": labels,
        "temperature": 1.0,
        "uncertain_below": 0.5,
        "input": {"name": INPUT, "shape": [1, 3, pixels, pixels]},
        "output": OUTPUT,
    }
    write_json(folder / "model.json", model)
    return sealed(folder)


def sealed(folder: Path) -> Path:
    """The package with what the compilation stage adds to a model that nothing was compiled of."""
    about = {"target": "bench", "outcome": "portable", "model_version": VERSION}
    (folder / "package.json").write_text(json.dumps(about))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder
