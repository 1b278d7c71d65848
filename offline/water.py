"""Water, what is seen through it, and the camera in it.

What makes a picture hard under water is modelled on the image formation of Akkaya and Treibitz, "A Revised Underwater
Image Formation Model", CVPR 2018: light loses red first on its way through the water, and the water itself adds a
veil that grows with distance.

    seen = animal * exp(-loss * path) + veil * (1 - exp(-scatter * distance))
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from offline.sites import CLEAR_LOSS, CLEAR_VEIL, COASTAL_LOSS, COASTAL_VEIL, Site

Pixels = NDArray[np.floating[Any]]

WIDTH: Final = 128
HEIGHT: Final = 96


class Water:
    """The water at a site at one moment: `light` is the picture with nothing in it, `distance` the metres to what the
    camera looks at."""

    def __init__(self, place: Site, rng: np.random.Generator) -> None:
        coastal = rng.uniform(*place.coastal)
        self._loss = (1 - coastal) * CLEAR_LOSS + coastal * COASTAL_LOSS
        veil = ((1 - coastal) * CLEAR_VEIL + coastal * COASTAL_VEIL) * rng.uniform(*place.light)
        self._scatter, self._exposure = rng.uniform(*place.scatter_per_m), place.exposure
        self._path, self.distance = rng.uniform(*place.path_m), rng.uniform(*place.distance_m)
        self.light = _light(rng, veil, place)

    def show(self, picture: Pixels, layer: Pixels, *, metres: float, gain: float = 1.0) -> None:
        """Put a layer (premultiplied RGBA) into the picture, as far away as `metres`."""
        kept, clear = self._through(metres)
        alpha = layer[..., 3:]
        picture += layer[..., :3] * (kept * clear * gain) + alpha * (self.light * (1 - clear) - picture)

    def seabed(self, rng: np.random.Generator) -> Pixels:
        """A new picture with sand or rubble along the bottom, whose wavy edge fades into the water."""
        kept, clear = self._through(self.distance + 2)
        edge = HEIGHT * rng.uniform(0.65, 1.0) + 5 * _smooth(rng, 2, 5)[0]
        alpha = np.clip((np.arange(HEIGHT, dtype=np.float32)[:, None] - edge) / 6, 0, 1)[..., None]
        colour = np.array(rng.uniform([0.55, 0.45, 0.3], [0.95, 0.85, 0.7]), np.float32)
        grain = 1 + 0.25 * _smooth(rng, 24, 32) + 0.15 * _smooth(rng, 6, 8)
        sand = grain[..., None] * colour
        picture = self.light.copy()
        picture += alpha * (sand * kept * clear + self.light * (1 - clear) - picture)
        return picture

    def _through(self, metres: float) -> tuple[Pixels, float]:
        """What reaches the camera from a thing so far away: the share of its light per colour, and of what the water
        did not scatter."""
        kept = np.exp(-self._loss * (self._path + metres)).astype(np.float32) * self._exposure
        return kept, float(np.exp(-self._scatter * metres))


def camera(picture: Pixels, rng: np.random.Generator, place: Site) -> Image.Image:
    """Drifting particles, defocus, then the sensor's noise. Particles are put into `picture` itself."""
    for x, y in rng.integers(0, [WIDTH, HEIGHT], (rng.integers(0, 25), 2)):
        picture[y, x] += rng.uniform(0.1, 0.45)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*place.blur_pixels)))
    noise = rng.standard_normal((HEIGHT, WIDTH, 3), np.float32) * (255 * rng.uniform(*place.noise))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


def _light(rng: np.random.Generator, veil: Pixels, place: Site) -> Pixels:
    """The water without anything in it: brighter above, uneven, with rays near the surface or a lamp's cone."""
    height = np.linspace(1.35, 0.55, HEIGHT, dtype=np.float32)[:, None]
    uneven = 1 + 0.14 * _smooth(rng, 4, 5)
    if place.lamp:
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        x, y = rng.uniform([0.35, 0.35], [0.65, 0.65]) * [WIDTH, HEIGHT]
        uneven *= 0.55 + 0.75 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (0.42 * WIDTH) ** 2))
    else:
        slope, phase = rng.uniform(-0.6, 0.6), rng.uniform(0, 6.3)
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        rays = np.sin((columns + slope * rows) * rng.uniform(0.12, 0.3) + phase)
        uneven *= 1 + 0.12 * np.clip(rays, 0, 1) * (1 - rows / HEIGHT)
    return np.asarray((height * uneven)[..., None] * veil, np.float32)


def _smooth(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    """Noise that varies slowly: `rows` by `columns` random values spread over the frame."""
    coarse = Image.fromarray(rng.standard_normal((rows, columns), np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
