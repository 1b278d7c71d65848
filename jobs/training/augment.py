"""Random views of a batch: turned, scaled, shifted, mirrored, partly hidden.

Light and colour need no variation: the network's first layer takes out what any of them changes.

What is drawn for an object depends on the object, the seed, the epoch and the view alone: not on the batch that it is
in, the order, the number of processes or the device. That is what lets a training go on elsewhere as if nothing had
happened.
"""

from typing import Final

import numpy as np
import torch
import torch.nn.functional as nn_functional
from numpy.typing import NDArray
from torch import Tensor

TURN_RADIANS: Final = 0.4
LOG_SCALE: Final = 0.16
SHIFT: Final = 0.16
HIDDEN_SHARE: Final = 0.5
HIDDEN_EXTENT: Final = 0.25

DRAWS: Final = ("turn", "scale", "mirror", "right", "down", "hidden", "left", "top")
GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)

Objects = NDArray[np.uint64]


def augmented(
    images: Tensor, objects: Objects, *, seed: int, epoch: int, view: int, pixels: int | None = None
) -> Tensor:
    """Another view of each image of a batch [n, 3, h, h] of values 0..1, on the images' device.

    Args:
        pixels: width and height of the views, where they shall be smaller than the images: a smaller one is sampled,
            not averaged.
    """
    pixels = pixels or images.shape[-1]
    drawn = draws(objects, seed, epoch, view, count=len(DRAWS))
    drawn_by_name = dict(zip(DRAWS, drawn.T, strict=True))
    placed = _moved(_affine(drawn_by_name), images.device)
    grid = nn_functional.affine_grid(placed, [len(images), 3, pixels, pixels], align_corners=False)
    views = nn_functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    mean = views.mean((2, 3), keepdim=True)
    return torch.where(_hidden(drawn_by_name, pixels, images.device), mean, views)


def draws(objects: Objects, *key: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers [n, count] from 0 up to but without 1, decided by object and key alone.

    Counter-based: SplitMix64's sequence from a state that is the object mixed with each part of the key. G. Steele,
    D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014, https://doi.org/10.1145/2660193.2660195;
    https://prng.di.unimi.it/splitmix64.c
    """
    state = objects.astype(np.uint64)
    with np.errstate(over="ignore"):
        for part in key:
            state = mixed(state + GOLDEN) ^ np.uint64(part)
        counter = GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
        bits = mixed(mixed(state + GOLDEN)[:, None] + counter)
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, np.float64)


def mixed(values: Objects) -> Objects:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _affine(drawn: dict[str, NDArray[np.float64]]) -> NDArray[np.float32]:
    """Where each point of a view lies in its image: [n, 2, 3], in units of half the image."""

    def around_zero(name: str, most: float) -> NDArray[np.float64]:
        return (2 * drawn[name] - 1) * most

    turn, scale = around_zero("turn", TURN_RADIANS), np.exp(around_zero("scale", LOG_SCALE))
    mirror = np.where(drawn["mirror"] < 0.5, -1, 1)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    rows = [[cos * mirror, -sin, around_zero("right", SHIFT)], [sin * mirror, cos, around_zero("down", SHIFT)]]
    return np.asarray(rows, np.float32).transpose(2, 0, 1)


def _hidden(drawn: dict[str, NDArray[np.float64]], pixels: int, device: torch.device) -> Tensor:
    """Where a square hides the picture, in HIDDEN_SHARE of the pictures: [n, 1, pixels, pixels]."""
    extent = int(HIDDEN_EXTENT * pixels)
    left, top = (np.floor(drawn[name] * (pixels - extent + 1)) for name in ("left", "top"))
    # Where nothing is hidden, the square lies outside of the picture.
    left = np.where(drawn["hidden"] < HIDDEN_SHARE, left, pixels)
    corner = _moved(np.stack([left, top], 1).astype(np.float32), device)
    line = torch.arange(pixels, device=device)
    inside = (line >= corner[..., None]) & (line < corner[..., None] + extent)
    return (inside[:, 1, :, None] & inside[:, 0, None, :])[:, None]


def _moved(values: NDArray[np.float32], device: torch.device) -> Tensor:
    """To the device without waiting for it: only a copy from pinned memory does that."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
