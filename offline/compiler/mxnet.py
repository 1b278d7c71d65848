"""An MXNet model as an ONNX graph, made without MXNet, which is retired and needs a NumPy of its time."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from offline.compiler.builder import Builder
from offline.compiler.errors import bad_input
from offline.compiler.graph import not_implemented
from offline.compiler.inputs import Shapes
from offline.compiler.mxnet_files import Symbol, read_symbol, read_weights
from offline.compiler.mxnet_operators import OPERATORS

_OUTSIDE = "null"


def translate(symbol_file: Path, parameter_file: Path, inputs: Shapes) -> Any:
    """The model as an ONNX graph that has been tried once.

    Args:
        inputs: DataInputConfig. It may also name a label, which only training reads.

    Raises:
        CompileError: files that are not MXNet's, inputs that are not the model's, an operator that is not here.
    """
    symbol, weights = read_symbol(symbol_file), read_weights(parameter_file)
    if unknown := {node.operator for node in symbol.nodes} - OPERATORS.keys() - {_OUTSIDE}:
        raise not_implemented("MXNET", unknown)
    given = {name: inputs[name] for name in _asked_for(symbol) - weights.keys() & inputs.keys()}
    _check_inputs(symbol, known={*weights, *inputs}, inputs=inputs)
    builder = Builder(given, weights)
    try:
        for node in symbol.nodes:
            if node.operator != _OUTSIDE:
                OPERATORS[node.operator](builder, node)
        model = builder.model(symbol.heads)
        _try(model, given)
    # A graph that does not fit together fails in as many ways here as it does in TVM.
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise bad_input(f"TVM can't convert the MXNet model. {reason.splitlines()[0]}") from None
    return model


def _asked_for(symbol: Symbol) -> set[str]:
    """The names of what the operations read from outside."""
    outside = {node.name for node in symbol.nodes if node.operator == _OUTSIDE}
    return outside & {name for node in symbol.nodes for name in node.inputs}


def _check_inputs(symbol: Symbol, *, known: set[str], inputs: Shapes) -> None:
    if strange := sorted(inputs.keys() - {node.name for node in symbol.nodes if node.operator == _OUTSIDE}):
        raise bad_input(f"DataInputConfig has the input {strange[0]!r}, and the MXNet model has none of that name")
    if missing := sorted(_asked_for(symbol) - known):
        raise bad_input(
            f"Model contains input layer ({missing[0]}) not specified in data_shape. Please specify all input layers "
            "in data_shape."
        )


def _try(model: Any, inputs: Shapes) -> None:
    """Run it once: that sizes fit together is seen by no check so well."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {name: np.zeros(shape, np.float32) for name, shape in inputs.items()})
