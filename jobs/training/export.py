"""The model package: what every later stage and every device reads."""

import json
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from jobs import images
from jobs.errors import JobError
from jobs.paths import write_json
from jobs.training.data import Dataset
from jobs.training.evaluation import logits_of

# Neo's edge compilers stop at ONNX 1.7: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-frameworks.html
OPSET: Final = 11
HIGHEST_IR: Final = 7
INPUT: Final = "image"
OUTPUT: Final = "logits"
TOLERANCE: Final = 1e-4


def export(network: nn.Module, dataset: Dataset, pixels: int, folder: Path, description: dict[str, Any]) -> None:
    """Write model.onnx, labels.json, golden/ and model.json to an empty `folder`, each checked before.

    Raises:
        JobError: the exported graph is not what was trained, or not what a compiler takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.cpu().eval()
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and the only one that writes opset 11.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, pixels, pixels),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    graph = onnx.load(str(path))
    onnx.checker.check_model(graph, full_check=True)
    opsets = [entry.version for entry in graph.opset_import]
    if graph.ir_version > HIGHEST_IR or opsets != [OPSET]:
        raise JobError(
            f"the graph has IR {graph.ir_version} and opsets {opsets}; compilers take {HIGHEST_IR} and {OPSET}"
        )
    _write_golden(network, dataset, path, folder / "golden")
    write_json(folder / "labels.json", dataset.labels)
    write_json(
        folder / "model.json",
        {**description, "input": {"name": INPUT, "shape": [1, 3, pixels, pixels]}, "output": OUTPUT},
    )


def _write_golden(network: nn.Module, dataset: Dataset, model: Path, folder: Path) -> None:
    """One image per class with the logits that a device must find again, and the label that they stand for."""
    folder.mkdir(parents=True, exist_ok=True)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    golden = []
    for number, label in enumerate(dataset.labels):
        image = _example(network, dataset, number)
        if image is None:
            continue
        name = f"{number:03d}.png"
        Image.fromarray(image).save(folder / name)
        (logits,) = session.run([OUTPUT], {INPUT: images.as_input(image)})
        expected = logits_of(network, torch.from_numpy(image.transpose(2, 0, 1))[None]).numpy()
        difference = float(np.abs(logits - expected).max())
        # A comparison with NaN is false, so ask for what must hold.
        if not difference <= TOLERANCE:
            raise JobError(f"ONNX and PyTorch differ by {difference:.2e} on a {label}; at most {TOLERANCE} is allowed")
        golden.append({"image": name, "label": dataset.labels[int(logits.argmax())], "logits": logits[0].tolist()})
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


def _example(network: nn.Module, dataset: Dataset, number: int) -> NDArray[np.uint8] | None:
    """An image of the class, from the test split if there is one, if possible one that the network gets right."""
    fallback = None
    for name in ("test", "validation", "train"):
        split = dataset.splits[name]
        found = split.images[split.targets == number]
        if len(found) == 0:
            continue
        right = (logits_of(network, found).argmax(1) == number).nonzero().flatten()
        if len(right):
            return found[right[0]].permute(1, 2, 0).contiguous().numpy()
        fallback = found[0] if fallback is None else fallback
    return None if fallback is None else fallback.permute(1, 2, 0).contiguous().numpy()
