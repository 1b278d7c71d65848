"""Random views of a batch: turned, scaled, shifted, mirrored, partly hidden.

Light and colour need no variation: the network's first layer takes out what any of them changes.
"""

from typing import Final

import torch
import torch.nn.functional as nn_functional
from torch import Tensor

TURN_RADIANS: Final = 0.4
LOG_SCALE: Final = 0.16
SHIFT: Final = 0.16
HIDDEN_SHARE: Final = 0.5
HIDDEN_EXTENT: Final = 0.25


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Another view of each image of a batch [n, 3, h, w] of values 0..1; the generator is the CPU's, on any device."""
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(count, *shape, generator=generator) * (high - low) + low
        return drawn.to(images.device)

    turn, scale = uniform(-TURN_RADIANS, TURN_RADIANS), torch.exp(uniform(-LOG_SCALE, LOG_SCALE))
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(turn) * scale, torch.sin(turn) * scale
    shift = uniform(-SHIFT, SHIFT, 2)
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    grid = nn_functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    views = nn_functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    mean = views.mean((2, 3), keepdim=True)
    return torch.where(_hidden(uniform(0, 1, 3), images.shape[-1]), mean, views)


def _hidden(drawn: Tensor, pixels: int) -> Tensor:
    """Where a square hides the picture, in HIDDEN_SHARE of the pictures: [n, 1, pixels, pixels]."""
    extent = int(HIDDEN_EXTENT * pixels)
    start = (drawn[:, :2] * (pixels - extent)).long()
    line = torch.arange(pixels, device=drawn.device)
    inside = (line >= start[..., None]) & (line < start[..., None] + extent)
    chosen = drawn[:, 2] < HIDDEN_SHARE
    return (inside[:, 0, :, None] & inside[:, 1, None, :] & chosen[:, None, None])[:, None]
