"""MXNet's operators by name: the layers, and here what goes on between layers.

What each one does: https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/symbol/op/index.html; what it is in
ONNX: https://github.com/onnx/onnx/blob/main/docs/Changelog.md, opset 11.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from offline.compiler import mxnet_layers as layers
from offline.compiler.builder import Builder
from offline.compiler.mxnet_files import Node, output
from offline.compiler.mxnet_layers import AttributeNotImplemented, Operator


def _same(onnx_name: str, **attributes: Any) -> Operator:
    """An operator that ONNX has too, with the same inputs."""
    return lambda graph, node: graph.add(onnx_name, list(node.inputs), to=node, **attributes)


def _scalar(onnx_name: str, *, first: bool = False) -> Operator:
    """An operator whose other side is a number: the right one, or the `first`."""

    def add(graph: Builder, node: Node) -> None:
        sides = [node.inputs[0], graph.number(node.get("scalar"))]
        graph.add(onnx_name, sides[::-1] if first else sides, to=node)

    return add


def _reduction(onnx_name: str) -> Operator:
    def add(graph: Builder, node: Node) -> None:
        if node.get("exclude", False):
            raise AttributeNotImplemented(node, "exclude")
        axis = node.get("axis", ())
        axes = [axis] if isinstance(axis, int) else list(axis)
        chosen = {"axes": axes} if axes else {}
        graph.add(onnx_name, [node.inputs[0]], to=node, keepdims=int(node.get("keepdims", False)), **chosen)

    return add


def _clip(graph: Builder, node: Node) -> None:
    ends = [graph.number(node.get("a_min")), graph.number(node.get("a_max"))]
    graph.add("Clip", [node.inputs[0], *ends], to=node)


def _concat(graph: Builder, node: Node) -> None:
    graph.add("Concat", list(node.inputs), to=node, axis=node.get("dim", 1))


def _split(graph: Builder, node: Node) -> None:
    if node.get("squeeze_axis", False):
        raise AttributeNotImplemented(node, "squeeze_axis")
    outputs = [output(node.name, number) for number in range(node.get("num_outputs", 1))]
    graph.add("Split", [node.inputs[0]], to=outputs, axis=node.get("axis", 1))


def _reshape(graph: Builder, node: Node) -> None:
    shape = list(node.get("shape", ()))
    if node.get("reverse", False):
        raise AttributeNotImplemented(node, "reverse")
    if not shape or min(shape) < -1:  # -2, -3 and -4 copy, merge and split sizes that only MXNet knows here
        raise AttributeNotImplemented(node, "shape")
    graph.add("Reshape", [node.inputs[0], graph.constant(np.array(shape, np.int64))], to=node)


def _transpose(graph: Builder, node: Node) -> None:
    axes = list(node.get("axes", ()))
    graph.add("Transpose", [node.inputs[0]], to=node, **({"perm": axes} if axes else {}))


def _slice_axis(graph: Builder, node: Node) -> None:
    end = node.get("end", np.iinfo(np.int64).max)
    ranges = [graph.constant(np.array([one], np.int64)) for one in (node.get("begin"), end, node.get("axis"))]
    graph.add("Slice", [node.inputs[0], *ranges], to=node)


def _pad(graph: Builder, node: Node) -> None:
    widths = list(node.get("pad_width"))
    if node.get("mode", "constant") != "constant":
        raise AttributeNotImplemented(node, "mode")
    pads = graph.constant(np.array(widths[0::2] + widths[1::2], np.int64))
    graph.add("Pad", [node.inputs[0], pads, graph.number(node.get("constant_value", 0))], to=node)


def _hard_sigmoid(graph: Builder, node: Node) -> None:
    alpha, beta = float(node.get("alpha", 0.2)), float(node.get("beta", 0.5))
    graph.add("HardSigmoid", [node.inputs[0]], to=node, alpha=alpha, beta=beta)


def _lrn(graph: Builder, node: Node) -> None:
    constants = {"alpha": float(node.get("alpha", 1e-4)), "beta": float(node.get("beta", 0.75))}
    graph.add("LRN", [node.inputs[0]], to=node, size=node.get("nsize"), bias=float(node.get("knorm", 2)), **constants)


_CALLED_ALIKE: Final = {
    "Add": ("elemwise_add", "_Plus", "_plus", "broadcast_add", "broadcast_plus"),
    "Sub": ("elemwise_sub", "_Minus", "_sub", "broadcast_sub", "broadcast_minus"),
    "Mul": ("elemwise_mul", "_Mul", "_mul", "broadcast_mul"),
    "Div": ("elemwise_div", "_Div", "_div", "broadcast_div"),
    "Sum": ("add_n", "ElementWiseSum"),
    "Identity": ("_copy", "identity", "Dropout", "BlockGrad", "stop_gradient", "LinearRegressionOutput"),
    "Sigmoid": ("sigmoid", "LogisticRegressionOutput"),
    "Flatten": ("Flatten", "flatten"),
    "Relu": ("relu",),
    "Tanh": ("tanh",),
    "Exp": ("exp",),
    "Log": ("log",),
    "Sqrt": ("sqrt",),
    "Abs": ("abs",),
    "Neg": ("negative",),
    "Floor": ("floor",),
    "Ceil": ("ceil",),
}

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {name: add for onnx_name, names in _CALLED_ALIKE.items() for add in [_same(onnx_name)] for name in names}
    | {
        "Convolution": layers.convolution,
        "Pooling": layers.pooling,
        "FullyConnected": layers.fully_connected,
        "BatchNorm": layers.batch_norm,
        "Activation": layers.activation,
        "LeakyReLU": layers.leaky_relu,
        "hard_sigmoid": _hard_sigmoid,
        "LRN": _lrn,
        "softmax": layers.softmax("Softmax"),
        "log_softmax": layers.softmax("LogSoftmax"),
        "SoftmaxOutput": layers.softmax_output,
        "SoftmaxActivation": layers.softmax_activation,
        "clip": _clip,
        "Concat": _concat,
        "concat": _concat,
        "SliceChannel": _split,
        "split": _split,
        "slice_axis": _slice_axis,
        "Reshape": _reshape,
        "reshape": _reshape,
        "transpose": _transpose,
        "Pad": _pad,
        "pad": _pad,
        "mean": _reduction("ReduceMean"),
        "sum": _reduction("ReduceSum"),
        "max": _reduction("ReduceMax"),
        "min": _reduction("ReduceMin"),
        "_plus_scalar": _scalar("Add"),
        "_minus_scalar": _scalar("Sub"),
        "_rminus_scalar": _scalar("Sub", first=True),
        "_mul_scalar": _scalar("Mul"),
        "_div_scalar": _scalar("Div"),
        "_rdiv_scalar": _scalar("Div", first=True),
        "_power_scalar": _scalar("Pow"),
    }
)
