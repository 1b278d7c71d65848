"""Writes the model of this folder; README.md says how to run it."""

import sys
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.gluon import nn


class Residual(nn.HybridBlock):
    """Two convolutions, the second in four groups, behind a gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.HybridSequential()
        self.body.add(
            nn.Conv2D(channels, 3, padding=1, use_bias=False),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.Conv2D(channels, 3, padding=1, groups=4, use_bias=False),
            nn.BatchNorm(),
        )
        self.gate = nn.HybridSequential()
        self.gate.add(nn.GlobalAvgPool2D(), nn.Conv2D(channels, 1), nn.Activation("sigmoid"))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        y = self.body(x)
        return F.Activation(x + F.broadcast_mul(y, self.gate(y)), act_type="relu")


class Tiny(nn.HybridBlock):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.HybridSequential()
        self.features.add(
            nn.Conv2D(16, 3, strides=2, padding=1),
            nn.BatchNorm(scale=False),
            nn.LeakyReLU(0.1),
            nn.MaxPool2D(3, 2, 1),
            Residual(16),
            nn.AvgPool2D(2, 2),
            nn.Dropout(0.5),
        )
        self.left = nn.Conv2D(16, 1)
        self.right = nn.Conv2D(8, 3, padding=1)
        self.output = nn.HybridSequential()
        self.output.add(nn.Flatten(), nn.Dense(32), nn.Activation("tanh"), nn.Dense(5))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        x = self.features(x * 2 - 1)
        x = F.concat(F.clip(self.left(x), 0, 6), F.max(x, axis=1, keepdims=True), self.right(x), dim=1)
        x = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full")
        return F.softmax(self.output(x))


def main(folder: Path) -> None:
    mx.random.seed(7)
    np.random.seed(7)
    net = Tiny()
    net.initialize(mx.init.Xavier())
    net.hybridize()
    data = mx.nd.array(np.random.rand(1, 3, 32, 32).astype("float32"))
    with mx.autograd.train_mode():
        for _ in range(3):  # batch normalisation remembers what it saw
            with mx.autograd.record():
                net(mx.nd.random.uniform(shape=(8, 3, 32, 32)))
    for name, parameter in net.collect_params().items():
        # Not 1 and 0, so that who mixes them up is found out.
        if name.endswith(("gamma", "beta", "bias")):
            parameter.set_data(mx.nd.random.uniform(-0.5, 1.5, shape=parameter.shape))
    probabilities = net(data)
    net.export(str(folder / "tiny"))
    np.savez(folder / "expected.npz", data=data.asnumpy(), probabilities=probabilities.asnumpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
