"""The process behind `torchscript`: MODEL SHAPES TARGET. What goes wrong is the last line of its stderr.

It imports nothing but PyTorch, which alone takes a second.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from typing import Final

import torch

OPSET: Final = 11


def export(model: str, shapes: Mapping[str, list[int]], target: str) -> None:
    """Write the program as an ONNX graph with inputs of these names and shapes."""
    program = torch.jit.load(model, map_location="cpu").float().eval()  # type: ignore[no-untyped-call]
    inputs = tuple(torch.zeros(shape) for shape in shapes.values())
    with warnings.catch_warnings():
        # The exporter for TorchScript is deprecated and the only one that writes opset 11.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            torch.jit.trace(program, inputs, check_trace=False),  # type: ignore[no-untyped-call]
            inputs,
            target,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(shapes),
        )


if __name__ == "__main__":
    try:
        export(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
    except Exception as error:
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        sys.exit(1)
