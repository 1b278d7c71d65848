"""The layers that MXNet's classification networks are made of, each as the ONNX nodes that compute the same.

What each one does: https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/symbol/op/index.html; what it is in
ONNX: https://github.com/onnx/onnx/blob/main/docs/Changelog.md, opset 11.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from offline.compiler.builder import Builder
from offline.compiler.mxnet_files import Node

Operator = Callable[[Builder, Node], object]


class AttributeNotImplemented(Exception):
    """An operator is known, and what one of its attributes asks for is not."""

    def __init__(self, node: Node, attribute: str) -> None:
        value = node.attributes.get(attribute, "its default")
        super().__init__(f"OperatorAttributeNotImplemented: {attribute}={value} is not supported in {node.operator}")


def _window(node: Node) -> dict[str, list[int]]:
    """What convolution and pooling share: the window, its steps, and the same padding before and after."""
    kernel = list(node.get("kernel", ()))
    pad = list(node.get("pad") or [0] * len(kernel))
    if node.get("layout", "NCHW") not in ("NCHW", "NCW", "NCDHW"):
        raise AttributeNotImplemented(node, "layout")
    return {"kernel_shape": kernel, "strides": list(node.get("stride") or [1] * len(kernel)), "pads": pad + pad}


def convolution(graph: Builder, node: Node) -> None:
    window = _window(node)
    dilations = list(node.get("dilate") or [1] * len(window["kernel_shape"]))
    graph.add("Conv", list(node.inputs), to=node, group=node.get("num_group", 1), dilations=dilations, **window)


def pooling(graph: Builder, node: Node) -> None:
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


def fully_connected(graph: Builder, node: Node) -> None:
    data, weight, *bias = node.inputs
    if node.get("flatten", True):
        graph.add("Gemm", [graph.add("Flatten", [data]), weight, *bias], to=node, transB=1)
        return
    turned = graph.add("Transpose", [weight], perm=[1, 0])
    product = graph.add("MatMul", [data, turned], to=None if bias else node)
    if bias:
        graph.add("Add", [product, *bias], to=node)


def batch_norm(graph: Builder, node: Node) -> None:
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


def activation(graph: Builder, node: Node) -> None:
    if (kind := node.get("act_type")) not in _ACTIVATIONS:
        raise AttributeNotImplemented(node, "act_type")
    graph.add(_ACTIVATIONS[kind], list(node.inputs), to=node)


def leaky_relu(graph: Builder, node: Node) -> None:
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


def softmax(onnx_name: str) -> Operator:
    """Over the last axis: over others, opset 11 takes everything behind them along."""

    def add(graph: Builder, node: Node) -> None:
        if node.get("axis", -1) != -1:
            raise AttributeNotImplemented(node, "axis")
        for other in ("temperature", "use_length"):
            if node.get(other, False) not in (False, 1, 1.0):
                raise AttributeNotImplemented(node, other)
        graph.add(onnx_name, [node.inputs[0]], to=node, axis=-1)

    return add


def softmax_output(graph: Builder, node: Node) -> None:
    for other in ("multi_output", "preserve_shape"):
        if node.get(other, False):
            raise AttributeNotImplemented(node, other)
    graph.add("Softmax", [node.inputs[0]], to=node, axis=1)


def softmax_activation(graph: Builder, node: Node) -> None:
    if node.get("mode", "instance") != "instance":
        raise AttributeNotImplemented(node, "mode")
    graph.add("Softmax", [node.inputs[0]], to=node, axis=-1)
