"""How good a network is on a split as it is, without augmentation."""

import numpy as np
import torch
import torch.nn.functional as nn_functional
from torch import Tensor, nn

from jobs.training import loader
from jobs.training.dataset import Split
from jobs.training.processes import Processes


@torch.inference_mode()
def logits_of(network: nn.Module, split: Split, processes: Processes, *, batch_size: int) -> Tensor:
    """The logits of all objects of a split, float32 [n, classes] on the CPU; each process computes its share.

    Every process must call it and gets the same. Leaves the network in evaluation mode.
    """
    network.eval()
    mine = np.array(processes.share(len(split)), np.int64)
    plan = [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]
    # The type that ships: a compiled model computes in float32.
    computed = [
        network((part.images.float() / 255).contiguous(memory_format=torch.channels_last)).cpu()
        for part in loader.batches(split, plan, device=processes.device)
    ]
    return torch.cat([part for found in processes.gathered(computed) for part in found])


def loss_and_accuracy(logits: Tensor, targets: Tensor) -> tuple[float, float]:
    loss = nn_functional.cross_entropy(logits, targets).item()
    return loss, (logits.argmax(1) == targets).float().mean().item()
