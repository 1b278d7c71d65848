"""The learning rate of every step, and which parameters are decayed."""

import math
from typing import Any

from torch import nn

from jobs.training.hyperparameters import Hyperparameters


def learning_rate(chosen: Hyperparameters, step: int, steps: int) -> float:
    """Of one of a training's `steps`: a linear warm-up, then half a cosine to 0.

    Loshchilov and Hutter, https://arxiv.org/abs/1608.03983
    """
    warm_up = max(1, int(chosen.warm_up_share * steps))
    if step < warm_up:
        return chosen.learning_rate * (step + 1) / warm_up
    return chosen.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for the optimizer: matrices and filters are decayed, norms and biases (one dimension) are not.

    They are few and scale what the next layer sees; pulling them to 0 changes the function, not its complexity.
    He et al., https://arxiv.org/abs/1812.01187, section 3.1
    """
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [one for one in learned if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in learned if one.ndim <= 1], "weight_decay": 0.0},
    ]
