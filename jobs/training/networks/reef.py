"""A small residual network that trains anywhere."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH: Final = 24
WIDEST: Final = 256
FINAL_PIXELS: Final = 7
"""Stages halve the picture until it is at most this wide, or odd: 64 pixels take three stages, 224 take four."""
GROUPS: Final = 8
GROWTH: Final = ((0.4, 0.5), (0.75, 0.75), (1.0, 1.0))
"""Until which share of the training which share of the width is learned from."""
SMALLEST_PIXELS: Final = 32
"""Less than that shows too little to learn from."""
NORMALIZATIONS: Final[Mapping[str, Callable[[int], nn.Module]]] = {
    "batch": nn.BatchNorm2d,
    # Y. Wu, K. He, "Group Normalization", 2018, https://arxiv.org/abs/1803.08494: nothing of the batch in it.
    "group": lambda channels: nn.GroupNorm(GROUPS, channels),
}


class Standardize(nn.Module):
    """Give every picture's channels mean 0 and variance 1: takes out the water's colour cast and the light."""

    def forward(self, images: Tensor) -> Tensor:
        # One axis after the other: ONNX Runtime adds the values of both up in one float32, which costs two more decimal
        # places than the rest of the network does. What is centred, InstanceNormalization scales exactly, as one
        # operator in place of six.
        mean = images.mean(3, keepdim=True).mean(2, keepdim=True)
        return functional.instance_norm(images - mean, eps=1e-3)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut, halving the picture (He et al., https://arxiv.org/abs/1512.03385)."""

    def __init__(self, channels_in: int, channels: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False),
            norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(channels),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels_in, channels, 1, bias=False), norm(channels))

    def forward(self, images: Tensor) -> Tensor:
        summed: Tensor = self.body(images) + self.shortcut(images)
        return torch.relu(summed)


def build(*, classes: int, pixels: int, normalization: str) -> nn.Sequential:
    """The untrained network: [n, 3, pixels, pixels] RGB 0..1 in, [n, classes] logits out."""
    norm = NORMALIZATIONS[normalization]
    layers: list[nn.Module] = [
        Standardize(),
        nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False),
        norm(WIDTH),
        nn.ReLU(inplace=True),
    ]
    channels_in, channels = WIDTH, WIDTH
    for _ in range(_stages(pixels)):
        layers.append(Residual(channels_in, channels, norm))
        channels_in, channels = channels, min(2 * channels, WIDEST)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels_in, classes))


def view_pixels(pixels: int, done: float) -> int:
    """How wide the pictures are up to this share of the training: a multiple of what the stages divide by."""
    share = next(share for until, share in GROWTH if done <= until)
    stride: int = 2 ** (_stages(pixels) + 1)
    return max(SMALLEST_PIXELS, round(share * pixels / stride) * stride)


def _stages(pixels: int) -> int:
    """How often the picture is halved after the first layer."""
    size, stages = pixels // 2, 0
    while size > FINAL_PIXELS and size % 2 == 0:
        size, stages = size // 2, stages + 1
    return stages
