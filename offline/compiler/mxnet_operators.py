"""MXNet's operators of classification networks, each as the ONNX nodes that compute the same.

What each one does: https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/symbol/op/index.html; what it is in
ONNX: https://github.com/onnx/onnx/blob/main/docs/Changelog.md, opset 11.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from offline.compiler.builder import Builder
from offline.compiler.mxnet_files import Node, output


class AttributeNotImplemented(Exception):
    """An operator is known, and what one of its attributes asks for is not."""

    def __init__(self, node: Node, attribute: str) -> None:
        value = node.attributes.get(attribute, "its default")
        super().__init__(f"OperatorAttributeNotImplemented: {attribute}={value} is not supported in {node.operator}")


Operator = Callable[[Builder, Node], object]


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


def _window(node: Node) -> dict[str, list[int]]:
    """What convolution and pooling share: the window, its steps, and the same padding before and after."""
    kernel = list(node.get("kernel", ()))
    pad = list(node.get("pad") or [0] * len(kernel))
    if node.get("layout", "NCHW") not in ("NCHW", "NCW", "NCDHW"):
        raise AttributeNotImplemented(node, "layout")
    return {"kernel_shape": kernel, "strides": list(node.get("stride") or [1] * len(kernel)), "pads": pad + pad}


def _convolution(graph: Builder, node: Node) -> None:
    window = _window(node)
    dilations = list(node.get("dilate") or [1] * len(window["kernel_shape"]))
    graph.add("Conv", list(node.inputs), to=node, group=node.get("num_group", 1), dilations=dilations, **window)


def _pooling(graph: Builder, node: Node) -> None:
    kind, rounding = node.get("pool_type", "max"), node.get("pooling_convention", "valid")
    if kind not in ("max", "avg"):
        raise AttributeNotImplemented(node, "pool_type")
    if node.get("global_pool", False):
        graph.add("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", list(node.inputs), to=node)
        return
    # What an average beyond the edge divides by is told apart by MXNet and by ONNX only since opset 19.
    if rounding not in ("valid", "full") or (rounding == "full" and kind == "avg"):
        raise AttributeNotImplemented(node, "pooling_convention")
    if kind == "max":
        graph.add("MaxPool", list(node.inputs), to=node, ceil_mode=int(rounding == "full"), **_window(node))
    else:
        padded = int(node.get("count_include_pad", True))
        graph.add("AveragePool", list(node.inputs), to=node, count_include_pad=padded, **_window(node))


def _fully_connected(graph: Builder, node: Node) -> None:
    data, weight, *bias = node.inputs
    if node.get("flatten", True):
        graph.add("Gemm", [graph.add("Flatten", [data]), weight, *bias], to=node, transB=1)
        return
    turned = graph.add("Transpose", [weight], perm=[1, 0])
    product = graph.add("MatMul", [data, turned], to=None if bias else node)
    if bias:
        graph.add("Add", [product, *bias], to=node)


def _batch_norm(graph: Builder, node: Node) -> None:
    if node.get("axis", 1) != 1:
        raise AttributeNotImplemented(node, "axis")
    data, gamma, beta, mean, variance = node.inputs
    if node.get("fix_gamma", True):  # then gamma is 1, whatever the file says
        gamma = graph.constant(np.ones_like(graph.weight(gamma)))
    graph.add("BatchNormalization", [data, gamma, beta, mean, variance], to=node, epsilon=float(node.get("eps", 1e-3)))


_ACTIVATIONS: Final = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softrelu": "Softplus",
    "softsign": "Softsign",
}


def _activation(graph: Builder, node: Node) -> None:
    if (kind := node.get("act_type")) not in _ACTIVATIONS:
        raise AttributeNotImplemented(node, "act_type")
    graph.add(_ACTIVATIONS[kind], list(node.inputs), to=node)


def _leaky_relu(graph: Builder, node: Node) -> None:
    kind, slope = node.get("act_type", "leaky"), float(node.get("slope", 0.25))
    if kind in ("leaky", "elu"):
        graph.add("LeakyRelu" if kind == "leaky" else "Elu", [node.inputs[0]], to=node, alpha=slope)
    elif kind == "selu":
        graph.add("Selu", [node.inputs[0]], to=node)
    elif kind == "prelu":
        slopes = graph.weight(node.inputs[1])  # one a channel, which in ONNX is the last axis unless it is told
        shaped = slopes.reshape(-1, 1, 1) if slopes.size > 1 else slopes
        graph.add("PRelu", [node.inputs[0], graph.constant(shaped)], to=node)
    else:
        raise AttributeNotImplemented(node, "act_type")


def _softmax(onnx_name: str) -> Operator:
    """Over the last axis: over others, opset 11 takes everything behind them along."""

    def add(graph: Builder, node: Node) -> None:
        if node.get("axis", -1) != -1:
            raise AttributeNotImplemented(node, "axis")
        for other in ("temperature", "use_length"):
            if node.get(other, False) not in (False, 1, 1.0):
                raise AttributeNotImplemented(node, other)
        graph.add(onnx_name, [node.inputs[0]], to=node, axis=-1)

    return add


def _softmax_output(graph: Builder, node: Node) -> None:
    for other in ("multi_output", "preserve_shape"):
        if node.get(other, False):
            raise AttributeNotImplemented(node, other)
    graph.add("Softmax", [node.inputs[0]], to=node, axis=1)


def _softmax_activation(graph: Builder, node: Node) -> None:
    if node.get("mode", "instance") != "instance":
        raise AttributeNotImplemented(node, "mode")
    graph.add("Softmax", [node.inputs[0]], to=node, axis=-1)


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
        "Convolution": _convolution,
        "Pooling": _pooling,
        "FullyConnected": _fully_connected,
        "BatchNorm": _batch_norm,
        "Activation": _activation,
        "LeakyReLU": _leaky_relu,
        "hard_sigmoid": _hard_sigmoid,
        "LRN": _lrn,
        "softmax": _softmax("Softmax"),
        "log_softmax": _softmax("LogSoftmax"),
        "SoftmaxOutput": _softmax_output,
        "SoftmaxActivation": _softmax_activation,
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
