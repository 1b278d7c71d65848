"""The model package: what every later stage and every device reads, each part checked before any of it is written."""

import copy
import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator
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
from jobs.training.dataset import Dataset

# Neo's edge compilers stop at ONNX 1.7: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-frameworks.html
OPSET: Final = 11
HIGHEST_IR: Final = 7
INPUT: Final = "image"
OUTPUT: Final = "logits"
TOLERANCE: Final = 1e-4
GOLDEN_FROM: Final = ("validation", "train")
"""The splits that golden images are taken from, in this order. Training does not have the test split."""
CANDIDATES: Final = 64
"""So many images of a class are tried for one that the network gets right."""


def try_export(network: nn.Module, *, name: str, pixels: int) -> None:
    """Export a copy of an untrained network and throw it away: what cannot be exported need not be trained.

    Raises:
        JobError: naming the network and what its export lacks.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _write_graph(copy.deepcopy(network).cpu().eval(), path, name=name, pixels=pixels)
        answer = _session(path).run(None, {INPUT: np.zeros((1, 3, pixels, pixels), np.float32)})[0]
    if answer.ndim != 2:
        raise JobError(f"network {name!r} answers with shape {answer.shape} and must give one number per class")


def export(
    network: nn.Module, dataset: Dataset, *, name: str, pixels: int, folder: Path, description: dict[str, Any]
) -> None:
    """Write model.onnx, labels.json, golden/ and model.json to `folder`: all of them, or none if one is not right.

    Args:
        name: of the network, for messages.
        description: what model.json says beside the input and the output.

    Raises:
        JobError: the exported graph is not what was trained, or not what a compiler takes.
    """
    network = network.cpu().eval()
    with tempfile.TemporaryDirectory() as built:
        package = Path(built)
        _write_graph(network, package / "model.onnx", name=name, pixels=pixels)
        _write_golden(network, dataset, _session(package / "model.onnx"), package / "golden")
        write_json(package / "labels.json", dataset.labels)
        model = {**description, "input": {"name": INPUT, "shape": [1, 3, pixels, pixels]}, "output": OUTPUT}
        write_json(package / "model.json", model)
        folder.mkdir(parents=True, exist_ok=True)
        # SageMaker mounts the folder itself, so what is in it moves. What was there is of an attempt before.
        for old in folder.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for part in package.iterdir():
            shutil.move(part, folder / part.name)


def _write_graph(network: nn.Module, path: Path, *, name: str, pixels: int) -> None:
    wanted = f"network {name!r} cannot be exported to ONNX opset {OPSET}, where the compilers for devices stop"
    try:
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
        onnx.checker.check_model(str(path), full_check=True)
        graph = onnx.load(str(path), load_external_data=False)
    except OSError:
        raise  # a full disk says nothing about the network
    # The exporter and the checker raise nearly anything; the first line says which operator.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].removesuffix(".")
        raise JobError(f"{wanted}: {reason}: choose another training.network") from None
    opsets = [entry.version for entry in graph.opset_import]
    if graph.ir_version > HIGHEST_IR or opsets != [OPSET]:
        raise JobError(
            f"{wanted}: the graph has IR {graph.ir_version} and opsets {opsets}, and must have IR {HIGHEST_IR} or less "
            f"and opset {OPSET}"
        )
    if beside := sorted(other.name for other in path.parent.iterdir() if other != path):
        raise JobError(f"network {name!r} is too large: its weights do not fit into one file and went to {beside[0]}")


def _session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _write_golden(network: nn.Module, dataset: Dataset, session: Any, folder: Path) -> None:
    """One image per class with the logits that a device must find again, and the label that they stand for."""
    folder.mkdir(parents=True)
    golden = []
    for number, label in enumerate(dataset.labels):
        image = _example(network, dataset, number)
        if image is None:
            print(f"no image of {label!r} in {' or '.join(GOLDEN_FROM)}: devices cannot check this class", flush=True)
            continue
        name = f"{number:03d}.png"
        Image.fromarray(image).save(folder / name)
        (logits,) = session.run([OUTPUT], {INPUT: images.as_input(image)})
        expected = _logits(network, torch.from_numpy(image.transpose(2, 0, 1))[None]).numpy()
        difference = float(np.abs(logits - expected).max())
        # A comparison with NaN is false, so ask for what must hold.
        if not difference <= TOLERANCE:
            raise JobError(
                f"ONNX and PyTorch differ by {difference:.2e} on an image of {label!r}; at most {TOLERANCE} is right: "
                "lower training.learning_rate if the values are no numbers, or choose another training.network"
            )
        golden.append({"image": name, "label": dataset.labels[int(logits.argmax())], "logits": logits[0].tolist()})
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


def _example(network: nn.Module, dataset: Dataset, number: int) -> NDArray[np.uint8] | None:
    """An image of the class as HWC bytes, if possible one that the network gets right; None when there is none."""
    first = None
    for found in _images_of(dataset, number):
        right = (_logits(network, found).argmax(1) == number).nonzero().flatten()
        first = found[0] if first is None else first
        if len(right):
            first = found[right[0]]
            break
    return None if first is None else np.ascontiguousarray(first.permute(1, 2, 0).numpy())


def _images_of(dataset: Dataset, number: int) -> Iterator[torch.Tensor]:
    for name in GOLDEN_FROM:
        split = dataset.splits[name]
        indices = np.flatnonzero(np.asarray(split.targets) == number)[:CANDIDATES]
        if len(indices):
            yield split.images(indices)


@torch.inference_mode()
def _logits(network: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """The logits of images [n, 3, h, w] of uint8."""
    answer: torch.Tensor = network(pictures.float().contiguous() / 255)
    return answer
