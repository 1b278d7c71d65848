"""The two places where the demo's cameras stand, and the water there."""

from dataclasses import dataclass
from typing import Final

import numpy as np

Range = tuple[float, float]

# Share of light lost per metre in red, green, blue: clear water takes the red, coastal water the blue as well.
CLEAR_LOSS: Final = np.array([0.33, 0.07, 0.04], np.float32)
COASTAL_LOSS: Final = np.array([0.40, 0.11, 0.16], np.float32)
CLEAR_VEIL: Final = np.array([0.05, 0.38, 0.60], np.float32)
COASTAL_VEIL: Final = np.array([0.10, 0.42, 0.33], np.float32)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the camera stands. Each range is drawn from uniformly, once per picture."""

    path_m: Range
    """The light's way to the animal: from the surface, or from the camera's lamp."""
    distance_m: Range
    scatter_per_m: Range
    coastal: Range
    """0 is clear blue water, 1 green coastal water."""
    light: Range
    size: Range
    """Height of the animal as a share of the picture's."""
    tilt_degrees: float
    hidden: Range
    """Share of the pictures' animals with growth in front, and how much of the animal's size that growth has."""
    blur_pixels: Range
    noise: Range
    exposure: float
    lamp: bool
    """Dark but for the camera's own light."""


SITES: Final = {
    "reef": Site(
        path_m=(0.3, 3),
        distance_m=(0.5, 3),
        scatter_per_m=(0.05, 0.17),
        coastal=(0.0, 0.5),
        light=(0.8, 1.15),
        size=(0.55, 0.85),
        tilt_degrees=25,
        hidden=(0.4, 0.35),
        blur_pixels=(0.2, 0.8),
        noise=(0.01, 0.03),
        exposure=1.3,
        lamp=False,
    ),
    "wreck": Site(
        path_m=(1, 4),
        distance_m=(1, 4),
        scatter_per_m=(0.08, 0.24),
        coastal=(0.5, 1.0),
        light=(0.6, 0.95),
        size=(0.4, 0.7),
        tilt_degrees=45,
        hidden=(0.8, 0.5),
        blur_pixels=(0.5, 1.3),
        noise=(0.025, 0.06),
        exposure=1.3,
        lamp=True,
    ),
}
