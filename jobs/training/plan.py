"""Which objects every step sees: decided by the seed, the epoch and the step, never by how many processes there are."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from jobs.manifest import digest

STEPS_PER_EPOCH: Final = 16
"""A dataset too small for this many batches is gone through several times in an epoch, each time in other views."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    objects: int
    batch_size: int
    seed: int

    @property
    def passes(self) -> int:
        """How often an epoch goes through the objects."""
        return math.ceil(STEPS_PER_EPOCH * self.batch_size / self.objects)

    @property
    def steps(self) -> int:
        """Per epoch. Every batch is full: what is left over, less than one batch, is other objects in every epoch."""
        return self.passes * self.objects // self.batch_size

    def epoch(self, number: int) -> Indices:
        """The objects of every batch: [steps, batch_size]."""
        generator = torch.Generator().manual_seed(digest(self.seed, number) >> 1)
        order = torch.cat([torch.randperm(self.objects, generator=generator) for _ in range(self.passes)])
        return order[: self.steps * self.batch_size].reshape(self.steps, self.batch_size).numpy()


def parts(batch: Indices, *, rank: int, size: int, accumulation: int) -> list[Indices]:
    """What one of `size` processes does of a batch, in `accumulation` parts.

    None is empty as long as the batch has an object for every part (Hyperparameters.for_processes).
    """
    return np.array_split(batch, size * accumulation)[rank * accumulation : (rank + 1) * accumulation]
