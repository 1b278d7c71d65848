"""In which numbers a training computes, and whether twice the same."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import torch

from jobs.errors import JobError
from jobs.training.hyperparameters import Hyperparameters

AMPERE: Final = 8
"""The first compute capability with bfloat16 in hardware: https://developer.nvidia.com/cuda-gpus"""


@dataclass(frozen=True)
class Precision:
    """The type of activations and products; weights and the optimizer's state are float32 always.

    Attributes:
        scaled: losses are scaled up, because gradients vanish in float16 (https://arxiv.org/abs/1710.03740).
        tf32: what stays in float32 may be multiplied with 10 bits of mantissa, which tensor cores are fast at.
    """

    dtype: torch.dtype
    scaled: bool = False
    tf32: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        return torch.autocast(device.type, dtype=self.dtype, enabled=self.dtype is not torch.float32)

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(device.type, enabled=self.scaled)


FLOAT32: Final = Precision(torch.float32)
BFLOAT16: Final = Precision(torch.bfloat16, tf32=True)
FLOAT16: Final = Precision(torch.float16, scaled=True, tf32=True)
NO_GPU: Final = "without a GPU there is no fast {}: choose auto or float32"
OLD_GPU: Final = "this GPU is older than bfloat16: choose auto or float16"

# What `precision` means without a GPU, on an older GPU such as the T4 of g4dn, and from Ampere on (g5, g6, p4, p5).
TABLE: Final[dict[str, tuple[Precision | str, Precision | str, Precision | str]]] = {
    "auto": (FLOAT32, FLOAT16, BFLOAT16),
    "float32": (FLOAT32, FLOAT32, FLOAT32),
    "bfloat16": (NO_GPU, OLD_GPU, BFLOAT16),
    "float16": (NO_GPU, FLOAT16, FLOAT16),
}


def chosen_precision(name: str, device: torch.device) -> Precision:
    """
    Raises:
        JobError: the device cannot, and what to choose.
    """
    column = 0 if device.type != "cuda" else 2 if torch.cuda.get_device_capability(device)[0] >= AMPERE else 1
    found = TABLE[name][column]
    if isinstance(found, str):
        raise JobError(f"training.precision is {name}: {found.format(name)}")
    return found


def prepare(chosen: Hyperparameters, device: torch.device) -> Precision:
    """Set what holds for the whole process: TF32, the choice of algorithms, the seed of the weights to come.

    Before the GPU is used, and right before the network is built.

    https://docs.pytorch.org/docs/stable/notes/randomness.html

    Raises:
        JobError: as chosen_precision.
    """
    precision = chosen_precision(chosen.precision, device)
    torch.backends.cuda.matmul.fp32_precision = torch.backends.cudnn.conv.fp32_precision = (  # type: ignore[attr-defined]
        "tf32" if precision.tf32 else "ieee"
    )
    if chosen.deterministic:
        # cuBLAS reads it when it starts, which it has not.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The call imports torch's compiler, which takes seconds.
    if chosen.deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(chosen.deterministic)
    torch.backends.cudnn.deterministic = chosen.deterministic
    # Trying out which algorithm is fastest pays, since every batch has the same shape; it does not end the same twice.
    torch.backends.cudnn.benchmark = not chosen.deterministic
    torch.manual_seed(chosen.seed)
    return precision
