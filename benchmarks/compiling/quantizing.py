"""A graph in int8: weights and activations in 8 bits, ranges taken from images, by ONNX Runtime's own tool.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Array = NDArray[np.float32]


class Images(CalibrationDataReader):
    """The inputs that the ranges are taken from, each once."""

    def __init__(self, inputs: list[Array]) -> None:
        self._rest: Iterator[Array] = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        image = next(self._rest, None)
        return None if image is None else {"image": image}


def quantized(model: Path, target: Path, inputs: list[Array]) -> Path:
    """Write the graph of `model` with int8 around every operator that has a kernel for it."""
    prepared = target.with_suffix(".prepared.onnx")
    logging.disable(logging.WARNING)  # the tool advises to prepare the graph, which is done here
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(target),
        Images(inputs),
        quant_format=QuantFormat.QDQ,
        # Processors without VNNI add up pairs of unsigned products in 16 bits; 7 bits of weight cannot overflow there.
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=True,
    )
    logging.disable(logging.NOTSET)
    return target
