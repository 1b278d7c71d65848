"""Model packages small enough to check by eye: a frame is red, green or blue by its mean colour."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

LABELS = ["red", "green", "blue"]
PIXELS = 8
GAIN = 10.0
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}


def image(colour: str | tuple[int, int, int], *, size: int = PIXELS, form: str = "PNG") -> bytes:
    """A picture of one colour; grey is the one that no model here is sure of."""
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), COLOURS[colour] if isinstance(colour, str) else colour).save(buffer, form)
    return buffer.getvalue()


def onnx_model(weights: np.ndarray) -> bytes:
    """The mean of each channel times a 3 x 3 matrix, in the form that training exports: opset 11, IR 7."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, PIXELS, PIXELS])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(LABELS)])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


GOOD = onnx_model(GAIN * np.eye(3))
SHUFFLED = onnx_model(GAIN * np.roll(np.eye(3), 1, axis=0))


def write(
    folder: Path,
    *,
    version: str = "r1-00000000",
    portable: bytes = GOOD,
    compiled: bytes | None = None,
    target: str = "linux-x86_64",
    uncertain_below: float = 0.9,
) -> Path:
    """A package in `folder`. Its golden logits are those of the good model, whatever the models in it are."""
    (folder / "golden").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(portable)
    if compiled is not None:
        (folder / "compiled").mkdir()
        (folder / "compiled" / "model.onnx").write_bytes(compiled)
    golden = []
    for index, label in enumerate(LABELS):
        (folder / "golden" / f"{label}.png").write_bytes(image(label))
        logits = [GAIN * (index == other) for other in range(len(LABELS))]
        golden.append({"image": f"{label}.png", "label": label, "logits": logits})
    documents = {
        "golden/golden.json": golden,
        "labels.json": LABELS,
        "package.json": {"target": target, "outcome": "portable", "model_version": version},
        "model.json": {
            "model_version": version,
            "dataset_version": "r1",
            "task": "classification",
            "input": {"name": "image", "shape": [1, 3, PIXELS, PIXELS]},
            "output": "logits",
            "labels": LABELS,
            "temperature": 1.0,
            "uncertain_below": uncertain_below,
        },
    }
    for name, content in documents.items():
        (folder / name).write_text(json.dumps(content))
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    """Write SHA256SUMS over what is there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}" for path in files]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def edit(folder: Path, name: str, **changes: object) -> None:
    """Change values of a JSON document of a package, and seal it again."""
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    seal(folder)
