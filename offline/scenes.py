"""Underwater scenes with a known answer: one marine animal each, composited over generated water.

Around it: light from above, drifting particles, growth that hides a part of the animal, defocus, sensor noise.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from offline.boxes import Box
from offline.sites import SITES
from offline.sprites import BUBBLES, ROCK, SPECIES, WEED, layer, list_species
from offline.water import HEIGHT, WIDTH, Pixels, Water, camera

__all__ = ["SPECIES", "draw", "growth", "jpeg", "list_species", "make_images", "make_scenes", "scenery"]


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
    check(classes, site)
    scenes = []
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            rng = np.random.default_rng([seed, list(SITES).index(site), list(SPECIES).index(name), number])
            path = folder / name / f"{site}-{seed}-{number:04d}.jpg"
            picture, box = draw(name, site, rng)
            path.write_bytes(jpeg(picture, quality))
            scenes.append((path, box))
    return scenes


def check(classes: Sequence[str], site: str) -> None:
    """Raise a ValueError for what cannot be drawn, with what can."""
    if unknown := [name for name in classes if name not in SPECIES]:
        raise ValueError(f"no sprite of {unknown[0]!r}; there are {', '.join(SPECIES)}")
    if site not in SITES:
        raise ValueError(f"no site {site!r}; there are {', '.join(SITES)}")


def draw(species: str, site: str, rng: np.random.Generator) -> tuple[Image.Image, Box]:
    """One picture of one animal, and the box around it, whatever hides a part of it."""
    place = SITES[site]
    water = Water(place, rng)
    picture = scenery(water, rng)
    size = rng.uniform(*place.size)
    centre = rng.uniform([0.3, 0.35], [0.7, 0.65]) * [WIDTH, HEIGHT]
    animal = layer(SPECIES[species], rng, size=size, tilt=place.tilt_degrees, centre=centre)
    water.show(picture, animal, metres=water.distance, gain=rng.uniform(0.8, 1.2))
    share, extent = place.hidden
    if rng.random() < share:
        water.show(picture, growth(rng, centre, size=size, extent=extent), metres=water.distance * 0.7)
    return camera(picture, rng, place), _box(species, animal)


def scenery(water: Water, rng: np.random.Generator) -> Pixels:
    """The place without any animal: seabed, and weeds and rocks on it."""
    picture = water.seabed(rng)
    for _ in range(rng.integers(0, 3)):
        thing = layer(rng.choice([WEED, ROCK]), rng, size=rng.uniform(0.3, 0.6), tilt=20, bottom=True)
        water.show(picture, thing, metres=water.distance + rng.uniform(1, 3))
    return picture


def growth(rng: np.random.Generator, centre: Pixels, *, size: float, extent: float) -> Pixels:
    """What stands before an animal of this size at this place, and hides some of it."""
    beside = centre + rng.uniform(-0.45, 0.45, 2) * size * HEIGHT
    return layer(rng.choice([WEED, WEED, BUBBLES, ROCK]), rng, size=size * extent, tilt=60, centre=beside)


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _box(species: str, animal: Pixels) -> Box:
    """Around every pixel that the layer covers by a fifth or more."""
    rows, columns = np.nonzero(animal[..., 3] >= 0.2)
    left, top = int(columns.min()), int(rows.min())
    return Box(species, left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
