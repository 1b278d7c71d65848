"""Networks of timm, https://github.com/huggingface/pytorch-image-models, which only the job container has.

Their weights are written into the image when it is built (`python -m jobs.training.networks NAME...`) and read from
there when a job runs: a training downloads nothing.
"""

import os
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

from jobs.errors import JobError

WEIGHTS: Final = "REEFLOOP_WEIGHTS"
"""The variable that names the folder of the weights; the container's Dockerfile sets it."""


class Normalized(nn.Module):
    """A network behind the mean and the standard deviation that its weights were trained with."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1), persistent=False)
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.deviation)
        return logits


def build(name: str, *, classes: int, pixels: int, pretrained: bool) -> nn.Module:
    """
    Raises:
        JobError: timm has no such network or not at this size, or its weights are not in the container.
    """
    timm, described = _timm(name)
    options: dict[str, Any] = {"num_classes": classes, "exportable": True}
    if pretrained:
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(_weights(name))}}
    if described.fixed_input_size:
        options["img_size"] = pixels
    # One attention operation would be faster, and ONNX 1.7 has none.
    timm.layers.set_fused_attn(False)
    try:
        network = timm.create_model(name, **options)
    # Every network of timm checks its arguments in its own way.
    except Exception as error:
        raise JobError(f"training.network {name!r} cannot be built at {pixels} pixels: {error}") from error
    return Normalized(network, network.default_cfg["mean"], network.default_cfg["std"])


def bake(names: list[str], folder: Path) -> None:
    """Download the pretrained weights of these networks into `folder`.

    Raises:
        JobError: timm has no such network, or no weights for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        timm, described = _timm(name)
        if not described.has_weights:
            raise JobError(f"timm has no pretrained weights for {name!r}: remove it from jobs.pretrained")
        torch.save(timm.create_model(name, pretrained=True).state_dict(), folder / f"{name}.pt")


def _timm(name: str) -> tuple[ModuleType, Any]:
    """timm, and how it describes the network of this name and its weights."""
    try:
        import timm
    except ImportError as error:
        raise JobError(
            f"training.network is {name!r}, a network of timm, and timm cannot be imported here ({error}): run the "
            "training in the job container, or set training.network to 'reef'"
        ) from None
    try:
        return timm, timm.get_pretrained_cfg(name, allow_unregistered=False)
    # No such architecture, or no such tag of it.
    except RuntimeError:
        family = name.partition(".")[0].partition("_")[0]
        near = ", ".join(timm.list_models(f"*{family}*", pretrained=True)[:5]) or "none like it"
        raise JobError(f"timm {timm.__version__} has no network {name!r}; it has {near}") from None


def _weights(name: str) -> Path:
    path = Path(os.environ.get(WEIGHTS, "")) / f"{name}.pt"
    if not path.is_file():
        raise JobError(f"the container has no pretrained weights of {name!r} ({path}): add it to jobs.pretrained")
    return path
