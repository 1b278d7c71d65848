"""Writes operators.npz: single operators with random weights, and what MXNet computes; README.md says how to run it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

S = mx.sym
IMAGE = (1, 4, 3, 5)
ROWS = (2, 6)
WINDOW = {"kernel": (2, 2), "stride": (2, 1)}
NORM = ("gamma", "beta", "mean", "variance")


def v(name: str) -> Any:
    return S.var(name)


def normalised(**options: Any) -> Callable[[Any], Any]:
    return lambda x: S.BatchNorm(x, *(v(name) for name in NORM), name="norm", **options)[0]


def arithmetic(x: Any) -> Any:
    w = v("w")  # two of one name would be two arguments
    return S.broadcast_div(S.broadcast_sub(S.broadcast_mul(x, w), x), S.broadcast_add(x, w))


# name: shape of the data, shapes of the weights, the symbol
CASES: dict[str, tuple[tuple[int, ...], dict[str, tuple[int, ...]], Callable[[Any], Any]]] = {
    "convolution": (
        IMAGE,
        {"w": (6, 4, 3, 2), "b": (6,)},
        lambda x: S.Convolution(x, v("w"), v("b"), kernel=(3, 2), pad=(1, 0), stride=(2, 1), num_filter=6),
    ),
    "convolution-dilated-grouped": (
        IMAGE,
        {"w": (4, 2, 2, 2)},
        lambda x: S.Convolution(x, v("w"), kernel=(2, 2), dilate=(1, 2), num_group=2, num_filter=4, no_bias=True),
    ),
    "pooling-max": (IMAGE, {}, lambda x: S.Pooling(x, pool_type="max", pad=(1, 0), **WINDOW)),
    "pooling-max-full": (IMAGE, {}, lambda x: S.Pooling(x, pool_type="max", pooling_convention="full", **WINDOW)),
    "pooling-avg": (IMAGE, {}, lambda x: S.Pooling(x, pool_type="avg", pad=(1, 1), **WINDOW)),
    "pooling-avg-without-pad": (
        IMAGE,
        {},
        lambda x: S.Pooling(x, pool_type="avg", pad=(1, 1), count_include_pad=False, **WINDOW),
    ),
    "pooling-global-max": (IMAGE, {}, lambda x: S.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="max")),
    "pooling-global-avg": (IMAGE, {}, lambda x: S.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="avg")),
    "dense": (IMAGE, {"w": (3, 60), "b": (3,)}, lambda x: S.FullyConnected(x, v("w"), v("b"), num_hidden=3)),
    "dense-no-bias": (ROWS, {"w": (3, 6)}, lambda x: S.FullyConnected(x, v("w"), num_hidden=3, no_bias=True)),
    "dense-not-flat": (
        IMAGE,
        {"w": (3, 5), "b": (3,)},
        lambda x: S.FullyConnected(x, v("w"), v("b"), num_hidden=3, flatten=False),
    ),
    "dense-not-flat-no-bias": (
        IMAGE,
        {"w": (3, 5)},
        lambda x: S.FullyConnected(x, v("w"), num_hidden=3, flatten=False, no_bias=True),
    ),
    "norm": (IMAGE, dict.fromkeys(NORM, (4,)), normalised(fix_gamma=False, eps=1e-5)),
    "norm-fixed-gamma": (IMAGE, dict.fromkeys(NORM, (4,)), normalised()),
    **{
        f"activation-{kind}": (IMAGE, {}, lambda x, kind=kind: S.Activation(x, act_type=kind))
        for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")
    },
    "leaky": (IMAGE, {}, lambda x: S.LeakyReLU(x, slope=0.1)),
    "elu": (IMAGE, {}, lambda x: S.LeakyReLU(x, act_type="elu")),
    "selu": (IMAGE, {}, lambda x: S.LeakyReLU(x, act_type="selu")),
    "prelu": (IMAGE, {"slope": (4,)}, lambda x: S.LeakyReLU(x, v("slope"), act_type="prelu")),
    "prelu-one": (IMAGE, {"slope": (1,)}, lambda x: S.LeakyReLU(x, v("slope"), act_type="prelu")),
    "hard-sigmoid": (IMAGE, {}, lambda x: S.hard_sigmoid(x, alpha=0.3, beta=0.4)),
    "lrn": (IMAGE, {}, lambda x: S.LRN(x, nsize=3, alpha=0.2, beta=0.6, knorm=1.5)),
    "softmax": (IMAGE, {}, lambda x: S.softmax(x)),
    "log-softmax": (ROWS, {}, lambda x: S.log_softmax(x)),
    "softmax-output": (ROWS, {}, lambda x: S.SoftmaxOutput(x, name="softmax")),
    "softmax-activation": (IMAGE, {}, lambda x: S.SoftmaxActivation(x)),
    "regression-output": (ROWS, {}, lambda x: S.LinearRegressionOutput(x, name="linear")),
    "logistic-output": (ROWS, {}, lambda x: S.LogisticRegressionOutput(x, name="logistic")),
    "clip": (IMAGE, {}, lambda x: S.clip(x, a_min=-0.5, a_max=0.25)),
    "concat": (IMAGE, {}, lambda x: S.concat(x, x * 2, dim=2)),
    "split": (IMAGE, {}, lambda x: S.concat(*reversed(list(S.split(x, num_outputs=2, axis=1))), dim=1)),
    "slice-axis": (IMAGE, {}, lambda x: S.slice_axis(x, axis=3, begin=1, end=None)),
    "slice-axis-from-the-end": (IMAGE, {}, lambda x: S.slice_axis(x, axis=-1, begin=-3, end=-1)),
    "flatten": (IMAGE, {}, lambda x: S.Flatten(x)),
    "reshape": (IMAGE, {}, lambda x: S.reshape(x, shape=(0, -1, 2))),
    "transpose": (IMAGE, {}, lambda x: S.transpose(x, axes=(0, 2, 3, 1))),
    "transpose-all": (IMAGE, {}, lambda x: S.transpose(x)),
    "pad": (
        IMAGE,
        {},
        lambda x: S.pad(x, mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 3, 0), constant_value=0.5),
    ),
    "mean": (IMAGE, {}, lambda x: S.mean(x, axis=(2, 3))),
    "mean-of-all": (IMAGE, {}, lambda x: S.mean(x)),
    "sum": (IMAGE, {}, lambda x: S.sum(x, axis=1, keepdims=True)),
    "max": (IMAGE, {}, lambda x: S.max(x, axis=-1)),
    "min": (IMAGE, {}, lambda x: S.min(x, axis=(1, 2))),
    "scalars": (IMAGE, {}, lambda x: (3 - (x + 4) * 0.5 - 1) / 2),
    "scalar-divided": (IMAGE, {}, lambda x: 1 / (x + 3)),
    "scalar-power": (IMAGE, {}, lambda x: (x + 3) ** 1.5),
    "arithmetic": (
        IMAGE,
        {"w": (1, 4, 1, 1)},
        arithmetic,
    ),
    "elementwise": (IMAGE, {}, lambda x: S.elemwise_div(x - x * x, S.add_n(x, x, S.exp(x)))),
    "functions": (IMAGE, {}, lambda x: S.floor(x * 3) + S.ceil(x) - S.sqrt(S.abs(x)) + S.log(S.exp(S.negative(x)))),
    "short-names": (IMAGE, {}, lambda x: S.relu(x) + S.sigmoid(x) * S.tanh(S.BlockGrad(S.identity(x)))),
    "dropout": (IMAGE, {}, lambda x: S.Dropout(x, p=0.7)),
}


def main(folder: Path) -> None:
    written: dict[str, Any] = {}
    random = np.random.default_rng(7)
    for name, (shape, weights, build) in CASES.items():
        symbol = build(S.var("data"))
        given = {one: random.uniform(0.2, 1, size).astype("float32") for one, size in weights.items()}
        data = random.uniform(-1, 1, shape).astype("float32")
        arrays = {one: mx.nd.array(value) for one, value in {**given, "data": data}.items()}
        auxiliary = {one: arrays.pop(one) for one in symbol.list_auxiliary_states()}
        labels = {one: mx.nd.zeros((shape[0],)) for one in symbol.list_arguments() if one.endswith("label")}
        if name in ("regression-output", "logistic-output"):
            labels = {one: mx.nd.zeros(shape) for one in labels}
        executor = symbol.bind(mx.cpu(), {**arrays, **labels}, aux_states=auxiliary)
        expected = executor.forward(is_train=False)[0].asnumpy()
        written |= {f"{name}/symbol": np.array(symbol.tojson()), f"{name}/data": data, f"{name}/expected": expected}
        written |= {f"{name}/weights/{one}": value for one, value in given.items()}
    np.savez_compressed(folder / "operators.npz", **written)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
