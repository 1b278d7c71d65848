"""Model packages small enough to predict: the class is the brightest channel of red, green and blue."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from jobs.images import as_input, load

PIXELS = 16
GAIN = 40.0
METRICS = {
    "train_accuracy": 0.95,
    "train_objects": 4000,
    "validation_accuracy": 0.9,
    "validation_objects": 1000,
    "train_loss": 0.2,
    "validation_loss": 0.3,
}


def coloured(channel: int, seed: int, *, difference: int = 60) -> bytes:
    """A PNG whose brightest channel is this one, by so many grey values of 255."""
    rng = np.random.default_rng([seed, channel, difference])
    values = rng.integers(90, 100, (PIXELS, PIXELS, 3))
    values[..., channel] += difference
    buffer = BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def package(
    folder: Path,
    labels: list[str],
    *,
    version: str = "v1-1",
    dataset_version: str = "v1",
    channels: list[int] | None = None,
    gain: float = GAIN,
    metrics: dict[str, float] | None = None,
    **card: Any,
) -> Path:
    """model.tar.gz as training leaves it, in `folder`; `channels` are those that the first labels stand for."""
    weights = np.zeros((3, len(labels)), np.float32)
    for label, channel in enumerate(channels or range(min(3, len(labels)))):
        weights[channel, label] = gain
    golden = folder / "files" / "golden"
    golden.mkdir(parents=True)
    onnx.save(brightest(weights), str(folder / "files" / "model.onnx"))
    (golden / "000.png").write_bytes(coloured(0, 0))
    logits = as_input(load(golden / "000.png", PIXELS)).mean((0, 2, 3)) @ weights
    (golden / "golden.json").write_text(json.dumps([{"image": "000.png", "label": "", "logits": logits.tolist()}]))
    (folder / "files" / "model.pth").write_bytes(b"TorchScript of " + version.encode())
    (folder / "files" / "labels.json").write_text(json.dumps(labels))
    model = {
        "model_version": version,
        "dataset_version": dataset_version,
        "labels": labels,
        "temperature": 2.0,
        "uncertain_below": 0.5,
        "unknown_above_energy": -3.25,
        "metrics": METRICS | (metrics or {}),
        "input": {"name": "image", "shape": [1, 3, PIXELS, PIXELS]},
        "output": "logits",
        **card,
    }
    (folder / "files" / "model.json").write_text(json.dumps(model))
    return packed(folder)


def packed(folder: Path) -> Path:
    """model.tar.gz of what is in folder/files."""
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "files", arcname=".")
    return path


def brightest(weights: np.ndarray, *, name: str = "image") -> onnx.ModelProto:
    """The graph of such a model: the mean of each channel times [3, classes]; `name` is that of its input."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", [name], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "brightness",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, PIXELS, PIXELS])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
