"""The model package: what every later stage and every device reads, each part checked before any of it is written."""

import copy
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
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
# A reader of TorchScript refuses a newer format: PyTorch 1.8, the newest on Neo's page of frameworks for devices, reads
# 5. The number rises with the operators that a network uses.
# https://github.com/pytorch/pytorch/blob/main/caffe2/serialize/versions.h
HIGHEST_TORCHSCRIPT: Final = 5
CANDIDATES: Final = 64
"""So many images of a class are tried for the one that the network is surest of."""


Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Logits [1, classes] of what the network is given of one picture."""


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

    model.pth, the same network in TorchScript, is for compilers that take no ONNX, such as Core ML's. A network that
    is too new for them goes without.

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
        session = _session(package / "model.onnx")
        answers: dict[str, Answer] = {"ONNX": lambda given: session.run([OUTPUT], {INPUT: given})[0]}
        if script := _write_torchscript(network, package / "model.pth", name=name, pixels=pixels):
            answers["TorchScript"] = _answers(script)
        _write_golden(network, dataset, answers, package / "golden")
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


def _write_torchscript(network: nn.Module, path: Path, *, name: str, pixels: int) -> nn.Module | None:
    """The network as it was saved, read again; None, and no file, when no compiler could read it.

    Traced, as https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html asks for.
    """
    try:
        with warnings.catch_warnings():
            # TorchScript is deprecated and all that the compilers read of PyTorch.
            warnings.simplefilter("ignore")
            example = torch.zeros(1, 3, pixels, pixels)
            torch.jit.trace(network, example, check_trace=False).save(str(path))  # type: ignore[no-untyped-call]
            found: nn.Module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
        version = _format_of(path)
        reason = f"has format {version} and may have {HIGHEST_TORCHSCRIPT}" if version > HIGHEST_TORCHSCRIPT else ""
    except OSError:
        raise
    # Tracing raises nearly anything. The model is trained by now, and most devices are compiled for from ONNX.
    except Exception as error:
        reason = f"cannot be written: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    if not reason:
        return found
    path.unlink(missing_ok=True)
    print(f"network {name!r} in TorchScript {reason}: nothing is compiled for devices that take no ONNX", flush=True)
    return None


def _format_of(path: Path) -> int:
    """The file format of a TorchScript archive; from 6 on it stands in another place."""
    with zipfile.ZipFile(path) as archive:
        [name] = {f"{path.stem}/version", f"{path.stem}/.data/version"} & set(archive.namelist())
        return int(archive.read(name))


def _answers(network: nn.Module) -> Answer:
    @torch.inference_mode()
    def answer(given: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(network(torch.from_numpy(given)))

    return answer


def _session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _write_golden(network: nn.Module, dataset: Dataset, answers: Mapping[str, Answer], folder: Path) -> None:
    """One image per class with the logits that a device must find again, and the label that they stand for.

    Every form in which the network was exported must give the logits that it gave itself; those of the first are kept.
    """
    folder.mkdir(parents=True)
    golden = []
    for number, label in enumerate(dataset.labels):
        image = _example(network, dataset, number)
        if image is None:
            print(f"no image of {label!r} in {' or '.join(GOLDEN_FROM)}: devices cannot check this class", flush=True)
            continue
        name = f"{number:03d}.png"
        Image.fromarray(image).save(folder / name)
        expected = _logits(network, torch.from_numpy(image.transpose(2, 0, 1))[None]).numpy()
        given = {form: answer(images.as_input(image)) for form, answer in answers.items()}
        for form, logits in given.items():
            difference = float(np.abs(logits - expected).max())
            # A comparison with NaN is false, so ask for what must hold.
            if not difference <= TOLERANCE:
                raise JobError(
                    f"{form} and PyTorch differ by {difference:.2e} on an image of {label!r}; at most {TOLERANCE} is "
                    "right: lower training.learning_rate if the values are no numbers, or choose another "
                    "training.network"
                )
        logits = next(iter(given.values()))[0]
        golden.append({"image": name, "label": dataset.labels[int(logits.argmax())], "logits": logits.tolist()})
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


def _example(network: nn.Module, dataset: Dataset, number: int) -> NDArray[np.uint8] | None:
    """An image of the class as HWC bytes, if possible one that the network gets right; None when there is none.

    Among those it is the one that the network is surest of: a compiled model must find the same label, and between two
    labels that are almost as likely its rounding alone could decide.
    """
    surest = None
    for found in _images_of(dataset, number):
        logits = _logits(network, found)
        best, second = logits.topk(2).values.T
        sureness, right = best - second, logits.argmax(1) == number
        if right.any():
            surest = found[int(sureness.where(right, torch.tensor(-torch.inf)).argmax())]
            break
        surest = found[int(sureness.argmax())] if surest is None else surest
    return None if surest is None else np.ascontiguousarray(surest.permute(1, 2, 0).numpy())


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
