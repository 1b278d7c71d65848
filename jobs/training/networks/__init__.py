"""Networks by name: this project's own, and those of timm, which is imported only when one of them is asked for."""

from typing import Final

from torch import nn

OWN: Final = "reef"


def build(name: str, *, classes: int, pixels: int, normalization: str, pretrained: bool) -> nn.Module:
    """A network that takes RGB 0..1, [n, 3, pixels, pixels], and gives logits, [n, classes]. Seed torch before.

    Whatever brings the pixels into the range that the network wants is part of it, so that it is in the exported graph
    and cannot be forgotten on a device.

    Args:
        normalization: of the own network, batch or group; a timm network has its own.
        pretrained: start from the weights that the container brought along.

    Raises:
        JobError: no such network, or its weights are not in the container.
    """
    if name == OWN:
        from jobs.training.networks import reef

        return reef.build(classes=classes, pixels=pixels, normalization=normalization)
    from jobs.training.networks import timm_networks

    return timm_networks.build(name, classes=classes, pixels=pixels, pretrained=pretrained)


def view_pixels(name: str, pixels: int, done: float) -> int:
    """How wide the pictures may be that a network learns from, up to this share of its training.

    Small ones at first: they teach what there is to see at a fraction of the cost, so that more of them fit into the
    same time. M. Tan, Q. Le, "EfficientNetV2: Smaller Models and Faster Training", 2021, section 4,
    https://arxiv.org/abs/2104.00298
    """
    if name != OWN:
        # Many of timm's take pictures of one size only.
        return pixels
    from jobs.training.networks import reef

    return reef.view_pixels(pixels, done)
