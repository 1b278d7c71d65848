"""The animals and things that scenes show: sprites of the npm package `@lobehub/fluent-emoji-3d` (MIT)."""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from offline.water import HEIGHT, WIDTH, Pixels

SPRITES: Final = Path(__file__).resolve().parents[1] / "node_modules" / "@lobehub" / "fluent-emoji-3d" / "assets"
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


def layer(
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
def decoded(code: str) -> Image.Image:
    path = SPRITES / f"{code}.webp"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `make setup` installs the sprites with npm")
    with Image.open(path) as image:
        return image.convert("RGBA")


def _sprite(code: str, pixels: int) -> Image.Image:
    """A sprite at a size just above the one it will be shown at: less than that, and turning it would alias."""
    return premultiplied(code, min(128, 16 * (pixels // 16 + 1)))


@cache
def premultiplied(code: str, pixels: int) -> Image.Image:
    """A sprite whose colours are multiplied by their opacity, so that edges do not fringe when it is resampled."""
    sprite = decoded(code).resize((pixels, pixels), Image.Resampling.BOX)
    # "RGBa" cannot be transformed by Pillow, so the premultiplied values travel under the name RGBA.
    values = np.asarray(sprite, np.float32)
    values = np.concatenate([values[..., :3] * values[..., 3:] / 255, values[..., 3:]], axis=-1)
    return Image.fromarray(values.astype(np.uint8), "RGBA")
