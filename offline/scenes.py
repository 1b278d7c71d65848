"""Underwater scenes with a known answer: marine animals composited over generated water.

The animals are sprites of the npm package `@lobehub/fluent-emoji-3d` (MIT). What makes a picture hard under water is
modelled on the image formation of Akkaya and Treibitz, "A Revised Underwater Image Formation Model", CVPR 2018:
light loses red first on its way through the water, and the water itself adds a veil that grows with distance.

    seen = animal * exp(-loss * path) + veil * (1 - exp(-scatter * distance))

Around that: light from above, drifting particles, growth that hides a part of the animal, defocus, sensor noise.
"""

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from offline.boxes import Box
from offline.sites import CLEAR_LOSS, CLEAR_VEIL, COASTAL_LOSS, COASTAL_VEIL, SITES, Site

Pixels = NDArray[np.floating[Any]]

SPRITES: Final = Path(__file__).resolve().parents[1] / "node_modules" / "@lobehub" / "fluent-emoji-3d" / "assets"
WIDTH: Final = 128
HEIGHT: Final = 96
DEFAULT_SPECIES: Final = 16

SPECIES: Final = {
    "angelfish": "1f420",
    "conch": "1f41a",
    "coral": "1fab8",
    "crab": "1f980",
    "damselfish": "1f41f",
    "dolphin": "1f42c",
    "jellyfish": "1fabc",
    "lobster": "1f99e",
    "octopus": "1f419",
    "pufferfish": "1f421",
    "seal": "1f9ad",
    "shark": "1f988",
    "shrimp": "1f990",
    "squid": "1f991",
    "turtle": "1f422",
    "whale": "1f40b",
    "otter": "1f9a6",
    "oyster": "1f9aa",
    "penguin": "1f427",
    "snail": "1f40c",
}
WEED: Final = "1f33f"
ROCK: Final = "1faa8"
BUBBLES: Final = "1fae7"


def list_species(count: int = DEFAULT_SPECIES) -> list[str]:
    """The first `count` species that scenes can show, at most as many as SPECIES has."""
    if not 1 <= count <= len(SPECIES):
        raise ValueError(f"there are sprites of 1 to {len(SPECIES)} species, not of {count}")
    return list(SPECIES)[:count]


def make_images(
    folder: Path, classes: Sequence[str], per_class: int, seed: int, site: str = "reef", quality: int = 88
) -> list[Path]:
    """Write `folder/<class>/<site>-<seed>-<number>.jpg`, `per_class` of each class; the same call, the same bytes.

    Raises:
        ValueError: an unknown class or site, with those that exist.
    """
    return [path for path, _ in make_scenes(folder, classes, per_class, seed, site, quality)]


def make_scenes(
    folder: Path, classes: Sequence[str], per_class: int, seed: int, site: str = "reef", quality: int = 88
) -> list[tuple[Path, Box]]:
    """The images of `make_images`, each with the box around its animal."""
    if unknown := [name for name in classes if name not in SPECIES]:
        raise ValueError(f"no sprite of {unknown[0]!r}; there are {', '.join(SPECIES)}")
    if site not in SITES:
        raise ValueError(f"no site {site!r}; there are {', '.join(SITES)}")
    scenes = []
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            rng = np.random.default_rng([seed, list(SITES).index(site), list(SPECIES).index(name), number])
            path = folder / name / f"{site}-{seed}-{number:04d}.jpg"
            picture, box = draw(name, site, rng)
            path.write_bytes(_jpeg(picture, quality))
            scenes.append((path, box))
    return scenes


def draw(species: str, site: str, rng: np.random.Generator) -> tuple[Image.Image, Box]:
    """One picture of one animal, and the box around it, whatever hides a part of it."""
    place = SITES[site]
    coastal = rng.uniform(*place.coastal)
    loss = (1 - coastal) * CLEAR_LOSS + coastal * COASTAL_LOSS
    veil = ((1 - coastal) * CLEAR_VEIL + coastal * COASTAL_VEIL) * rng.uniform(*place.light)
    scatter = rng.uniform(*place.scatter_per_m)
    path, distance = rng.uniform(*place.path_m), rng.uniform(*place.distance_m)
    light = _light(rng, veil, place)

    # What reaches the camera from a thing at some distance: its own light that was not lost, and the veil before it.
    def through_water(metres: float) -> tuple[Pixels, float]:
        return np.exp(-loss * (path + metres)).astype(np.float32) * place.exposure, float(np.exp(-scatter * metres))

    picture = light.copy()
    _seabed(picture, rng, *through_water(distance + 2), light)
    for _ in range(rng.integers(0, 3)):
        layer = _layer(rng.choice([WEED, ROCK]), rng, size=rng.uniform(0.3, 0.6), tilt=20, bottom=True)
        _blend(picture, layer, *through_water(distance + rng.uniform(1, 3)), light)
    size = rng.uniform(*place.size)
    centre = rng.uniform([0.3, 0.35], [0.7, 0.65]) * [WIDTH, HEIGHT]
    animal = _layer(SPECIES[species], rng, size=size, tilt=place.tilt_degrees, centre=centre)
    _blend(picture, animal, *through_water(distance), light, gain=rng.uniform(0.8, 1.2))
    share, extent = place.hidden
    if rng.random() < share:
        beside = centre + rng.uniform(-0.45, 0.45, 2) * size * HEIGHT
        growth = _layer(rng.choice([WEED, WEED, BUBBLES, ROCK]), rng, size=size * extent, tilt=60, centre=beside)
        _blend(picture, growth, *through_water(distance * 0.7), light)
    return _camera(picture, rng, place), _box(species, animal)


def _box(species: str, layer: Pixels) -> Box:
    """Around every pixel that the layer covers by a fifth or more."""
    rows, columns = np.nonzero(layer[..., 3] >= 0.2)
    left, top = int(columns.min()), int(rows.min())
    return Box(species, left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)


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


def _seabed(picture: Pixels, rng: np.random.Generator, kept: Pixels, clear: float, light: Pixels) -> None:
    """Sand or rubble along the bottom, with a wavy edge that fades into the water."""
    edge = HEIGHT * rng.uniform(0.65, 1.0) + 5 * _smooth(rng, 2, 5)[0]
    alpha = np.clip((np.arange(HEIGHT, dtype=np.float32)[:, None] - edge) / 6, 0, 1)[..., None]
    colour = np.array(rng.uniform([0.55, 0.45, 0.3], [0.95, 0.85, 0.7]), np.float32)
    grain = 1 + 0.25 * _smooth(rng, 24, 32) + 0.15 * _smooth(rng, 6, 8)
    sand = grain[..., None] * colour
    picture += alpha * (sand * kept * clear + light * (1 - clear) - picture)


def _layer(
    code: str,
    rng: np.random.Generator,
    *,
    size: float,
    tilt: float,
    centre: Pixels | None = None,
    bottom: bool = False,
) -> Pixels:
    """A sprite turned, scaled, mirrored and placed on an empty frame: premultiplied RGBA, 0..1."""
    x, y = rng.uniform([0, 0.75 if bottom else 0], [1, 1]) * [WIDTH, HEIGHT] if centre is None else centre
    sprite = _sprite(code, int(size * HEIGHT))
    scale = sprite.width / (size * HEIGHT)
    angle = np.deg2rad(rng.uniform(-tilt, tilt))
    stretch = rng.uniform(0.85, 1.15)
    mirror = rng.choice([-1.0, 1.0])
    cos, sin, half = np.cos(angle) * scale, np.sin(angle) * scale, sprite.width / 2
    a, b = mirror * cos / stretch, mirror * sin / stretch
    inverse = (a, b, half - a * x - b * y, -sin, cos, half + sin * x - cos * y)
    placed = sprite.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)
    return np.asarray(placed, np.float32) / 255


@cache
def _decoded(code: str) -> Image.Image:
    path = SPRITES / f"{code}.webp"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `make setup` installs the sprites with npm")
    with Image.open(path) as image:
        return image.convert("RGBA")


def _sprite(code: str, pixels: int) -> Image.Image:
    """A sprite at a size just above the one it will be shown at: less than that, and turning it would alias."""
    return _premultiplied(code, min(128, 16 * (pixels // 16 + 1)))


@cache
def _premultiplied(code: str, pixels: int) -> Image.Image:
    """A sprite whose colours are multiplied by their opacity, so that edges do not fringe when it is resampled."""
    sprite = _decoded(code).resize((pixels, pixels), Image.Resampling.BOX)
    # "RGBa" cannot be transformed by Pillow, so the premultiplied values travel under the name RGBA.
    values = np.asarray(sprite, np.float32)
    values = np.concatenate([values[..., :3] * values[..., 3:] / 255, values[..., 3:]], axis=-1)
    return Image.fromarray(values.astype(np.uint8), "RGBA")


def _blend(picture: Pixels, layer: Pixels, kept: Pixels, clear: float, light: Pixels, gain: float = 1.0) -> None:
    """Put a layer into the picture through the water between it and the camera."""
    alpha = layer[..., 3:]
    picture += layer[..., :3] * (kept * clear * gain) + alpha * (light * (1 - clear) - picture)


def _camera(picture: Pixels, rng: np.random.Generator, place: Site) -> Image.Image:
    """Drifting particles, defocus, then the sensor's noise."""
    for x, y in rng.integers(0, [WIDTH, HEIGHT], (rng.integers(0, 25), 2)):
        picture[y, x] += rng.uniform(0.1, 0.45)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*place.blur_pixels)))
    noise = rng.standard_normal((HEIGHT, WIDTH, 3), np.float32) * (255 * rng.uniform(*place.noise))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


def _smooth(rng: np.random.Generator, rows: int, columns: int) -> Pixels:
    """Noise that varies slowly: `rows` by `columns` random values spread over the frame."""
    coarse = Image.fromarray(rng.standard_normal((rows, columns), np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
