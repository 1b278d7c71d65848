"""An ONNX graph while it is made."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from offline.compiler.inputs import Shapes
from offline.compiler.mxnet_files import Node, Weights

OPSET: Final = 11
IR_VERSION: Final = 6


class Builder:
    """Nodes, and the weights that they use. A node's first output is called like the MXNet node that it stands for;
    what lies between two of them is numbered."""

    def __init__(self, inputs: Shapes, weights: Weights) -> None:
        self._inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(inputs[name])) for name in inputs]
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def weight(self, name: str) -> NDArray[Any]:
        """A weight of the model. Raises KeyError where the name is that of something computed."""
        return self._weights[name]

    def constant(self, value: ArrayLike) -> str:
        """The name of a value that is not among the model's weights."""
        name = f"constant_{len(self._constants)}"
        self._constants[name] = np.asarray(value)
        return name

    def number(self, value: float) -> str:
        return self.constant(np.float32(value))

    def add(self, operator: str, inputs: list[str], *, to: Node | list[str] | None = None, **attributes: Any) -> str:
        """The first output of a new ONNX node: that of the MXNet node `to`, or one in between."""
        names = [to.name] if isinstance(to, Node) else to or [f"between_{len(self._nodes)}"]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names[0]

    def model(self, heads: tuple[str, ...]) -> Any:
        """The graph with these outputs, and the weights that it came to use."""
        used = {name for node in self._nodes for name in node.input}
        known = {**{name: self._weights[name] for name in sorted(used & self._weights.keys())}, **self._constants}
        graph = helper.make_graph(
            self._nodes,
            "translated",
            self._inputs,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in heads],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in known.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
