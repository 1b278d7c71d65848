"""Frames of a real camera's size, out of the demo's footage."""

import io
from pathlib import Path

# First, since it makes the project importable.
from learning import SPECIES  # isort: skip

import numpy as np
from PIL import Image

from offline.footage import record

__all__ = ["SPECIES", "photographs"]


def photographs(folder: Path, size: tuple[int, int], count: int) -> list[Path]:
    """JPEGs of so many pixels across and down. Scaled up, footage has no detail: noise makes a file as large, and as
    slow to decode, as a photograph under water is."""
    folder.mkdir(parents=True)
    width, height = size
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 6, (height, width, 3)).astype(np.float32)
    paths = []
    for shot in record(1, seconds=count, frames_per_second=1, water_seconds=3).shots():
        with Image.open(io.BytesIO(shot.content)) as image:
            scaled = np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)
        noisy = np.clip(scaled + np.roll(noise, int(rng.integers(width)), axis=1), 0, 255).astype(np.uint8)
        path = folder / f"{len(paths):04d}.jpg"
        Image.fromarray(noisy).save(path, "JPEG", quality=88)
        paths.append(path)
    return paths
