"""What compiling gains: a model through the offline compiler beside the same network in eager PyTorch.

The demo's model is trained as the demo trains it, exported as training exports it, and compiled for this machine by
the compiler of the offline account; a ResNet-18 at 224 pixels, whose weights are random, stands beside it. All answer
one image per call, on as many threads, in blocks by turns; eager PyTorch under inference_mode, once in the memory
layout that a network has when nobody changes it, once with channels last. int8 is ONNX Runtime's own quantization of
the same graph, its ranges taken from training images, through the same compiler.

Asked of the demo's model on the first number of threads: the compiled one is at least 5 times as fast as eager
PyTorch, names every golden image alike, and at least 99.9 % of the test images. A ratio is the median over pairs of
neighbouring blocks.

    python benchmarks/compiled_speed.py [--threads 1] [--per-class 125] [--blocks 60]
"""

import argparse
import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

# First, since it makes the project importable.
from learning import SPECIES, fitted, laptop  # isort: skip

import numpy as np
import onnxruntime
import torch
from compiling.compiler import compiled
from compiling.quantizing import quantized
from compiling.resnet import resnet18
from compiling.turns import Times, timed
from numpy.typing import NDArray
from torch import nn

from jobs import images
from jobs.training.export import INPUT, OPSET, OUTPUT, export
from offline.scenes import make_images

MINIMUM_RATIO: Final = 5.0
MINIMUM_AGREEMENT: Final = 0.999
CALIBRATION: Final = 128
"""Images that the ranges of int8 are taken from."""
UNSEEN: Final = 4711
"""The seed of pictures that no training sees."""
EAGER, CHANNELS_LAST, COMPILED, INT8 = "eager", "eager, channels last", "compiled", "compiled, int8"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """A network and its graph; `inputs` are [1, 3, h, w] each, the first `golden` of them golden images, and `truth`
    the classes of the others, none where there are none."""

    name: str
    network: nn.Module
    graphs: dict[str, Path]
    inputs: list[Array]
    golden: int
    truth: list[int]

    def ways(self, threads: int) -> dict[str, Callable[[Array], Array]]:
        """The same question, asked of each: logits [classes] of one image."""
        plain = copy.deepcopy(self.network).to(memory_format=torch.contiguous_format)
        last = copy.deepcopy(self.network).to(memory_format=torch.channels_last)
        eager: dict[str, Callable[[Array], Array]] = {
            EAGER: partial(asked, plain, torch.contiguous_format),
            CHANNELS_LAST: partial(asked, last, torch.channels_last),
        }
        return eager | {name: session(path, threads) for name, path in self.graphs.items()}


@torch.inference_mode()
def asked(network: nn.Module, layout: torch.memory_format, image: Array) -> Array:
    found: Array = network(torch.from_numpy(image).contiguous(memory_format=layout))[0].numpy()
    return found


def session(path: Path, threads: int) -> Callable[[Array], Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    loaded: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: np.asarray(loaded.run(None, {INPUT: image})[0][0])


def demo(folder: Path, per_class: int) -> Subject:
    """The demo's model, and test images that it was not trained on."""
    network, dataset, _ = fitted(folder / "demo", 1)
    pixels, package = laptop().image_pixels, folder / "package"
    export(network, dataset, name="reef", pixels=pixels, folder=package, description={})
    golden = json.loads((package / "golden" / "golden.json").read_text())
    paths = [package / "golden" / one["image"] for one in golden]
    tested = make_images(folder / "test", SPECIES, per_class, UNSEEN)
    train = dataset.splits["train"].images(np.arange(CALIBRATION)).permute(0, 2, 3, 1).numpy()
    return Subject(
        name=f"demo, {pixels} pixels",
        network=network.cpu().eval(),
        graphs=graphs(package / "model.onnx", [images.as_input(one) for one in train]),
        inputs=[images.as_input(images.load(path, pixels)) for path in [*paths, *tested]],
        golden=len(paths),
        truth=[SPECIES.index(path.parent.name) for path in tested],
    )


def resnet(folder: Path) -> Subject:
    torch.manual_seed(1)
    network, path = resnet18(1000), folder / "resnet18.onnx"
    pictures = [images.as_input(images.load(one, 224)) for one in make_images(folder / "resnet", SPECIES, 1, UNSEEN)]
    example = (torch.from_numpy(pictures[0]),)
    names: dict[str, Any] = {"input_names": [INPUT], "output_names": [OUTPUT]}
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and the only one that writes opset 11.
        warnings.simplefilter("ignore")
        torch.onnx.export(network, example, str(path), dynamo=False, opset_version=OPSET, **names)
    return Subject("ResNet-18, 224 pixels", network, graphs(path, pictures), pictures, 0, [])


def graphs(model: Path, ranges: list[Array]) -> dict[str, Path]:
    """The compiled graph of a model, and that of its quantization."""
    shape, folder = list(ranges[0].shape), model.parent
    int8 = quantized(model, folder / "int8.onnx", ranges)
    return {
        COMPILED: compiled(model, shape, folder / "compiled.onnx"),
        INT8: compiled(int8, shape, folder / "compiled-int8.onnx"),
    }


def agreements(subject: Subject) -> dict[str, tuple[str, float, float]]:
    """Per way: its columns of the table, and the shares of golden and of test images that eager PyTorch names so."""
    answers = {
        name: np.stack([way(image) for image in subject.inputs]) for name, way in subject.ways(threads=1).items()
    }
    found = {}
    for name, logits in answers.items():
        same = logits.argmax(1) == answers[EAGER].argmax(1)
        difference = float(np.abs(logits - answers[EAGER]).max())
        if not subject.truth:
            found[name] = f"| {difference:.1e} | | | ", 1.0, 1.0
            continue
        golden, test = float(same[: subject.golden].mean()), float(same[subject.golden :].mean())
        right = float((logits[subject.golden :].argmax(1) == subject.truth).mean())
        found[name] = f"| {difference:.1e} | {golden:.0%} | {test:.2%} | {right:.2%} ", golden, test
    return found


def raced(subject: Subject, threads: int, blocks: int) -> dict[str, Times]:
    torch.set_num_threads(threads)
    ways = subject.ways(threads)
    return timed({name: partial(way, subject.inputs[0]) for name, way in ways.items()}, blocks=blocks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--per-class", type=int, default=125)
    parser.add_argument("--blocks", type=int, default=60)
    options = parser.parse_args()
    print("| model | threads | | p50 ms | p99 ms | times as fast | logits off | golden | test | right | MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    problems = []
    with tempfile.TemporaryDirectory() as place:
        for subject in (demo(Path(place), options.per_class), resnet(Path(place))):
            agreed = agreements(subject)
            for threads in options.threads:
                times = raced(subject, threads, options.blocks)
                for name, one in times.items():
                    ratio = times[EAGER].times_as_slow_as(one)
                    columns, golden, test = agreed[name]
                    size = subject.graphs[name].stat().st_size / 2**20 if name in subject.graphs else None
                    speed = f"{one.percentile(50):.2f} | {one.percentile(99):.2f} | {ratio:.2f}"
                    mib = f"{size:.1f}" if size else ""
                    print(f"| {subject.name} | {threads} | {name} | {speed} {columns}| {mib} |", flush=True)
                    if name == COMPILED and subject.truth and threads == options.threads[0]:
                        problems += faults(ratio, golden, test)
    print("".join(f"\n{problem}" for problem in problems), file=sys.stderr)
    return int(bool(problems))


def faults(ratio: float, golden: float, test: float) -> list[str]:
    """What must hold of the demo's compiled model and does not."""
    checks = {
        f"it is {ratio:.2f} times as fast as eager PyTorch, and must be {MINIMUM_RATIO}": ratio >= MINIMUM_RATIO,
        f"it names {golden:.2%} of the golden images alike, and must name all": golden == 1,
        f"it names {test:.3%} of the test images alike, and must {MINIMUM_AGREEMENT:.1%}": test >= MINIMUM_AGREEMENT,
    }
    return [fault for fault, holds in checks.items() if not holds]


if __name__ == "__main__":
    sys.exit(main())
