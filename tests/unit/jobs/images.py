"""Pictures that a network of any size can tell apart: stripes, a disc and noise, each in its own way."""

from io import BytesIO

import numpy as np
from PIL import Image

CLASSES = ("stripes", "disc", "noise")


def picture(name: str, seed: int, pixels: int = 40) -> bytes:
    """One PNG of a class, different for every seed."""
    rng = np.random.default_rng([seed, CLASSES.index(name)])
    rows, columns = np.mgrid[0:pixels, 0:pixels].astype(np.float32)
    if name == "stripes":
        values = 0.5 + 0.4 * np.sin(rows * rng.uniform(0.6, 1.0) + rng.uniform(0, 6))
    elif name == "disc":
        x, y = rng.uniform(0.4, 0.6, 2) * pixels
        values = np.where((rows - y) ** 2 + (columns - x) ** 2 < (0.25 * pixels) ** 2, 0.9, 0.2)
    else:
        values = rng.random((pixels, pixels))
    tinted = values[..., None] * rng.uniform(0.6, 1.0, 3) + rng.normal(0, 0.03, (pixels, pixels, 3))
    buffer = BytesIO()
    Image.fromarray((np.clip(tinted, 0, 1) * 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
