"""Perceptual fingerprints: pictures that look the same get nearly the same 64 bits.

The pHash of Krawetz, "Looks Like It" (2011), https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html,
after Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010),
https://www.phash.org/docs/pubs/thesis_zauner.pdf: shrink to 32 x 32 grey values, keep the 8 x 8 lowest frequencies of
the cosine transform, and write for each whether it is above their median. Low frequencies survive re-encoding, scaling
and noise; the median survives a change of brightness or contrast. docs/decisions/0014 has the figures.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS: Final = 64
NEAR: Final = 4
"""Pictures whose fingerprints differ in at most this many bits are near-duplicates."""

_HEX: Final = re.compile("[0-9a-f]{16}")
_PIXELS: Final = 32
_KEPT: Final = 8


def _cosines() -> NDArray[np.float64]:
    """The lowest frequencies of the orthonormal DCT-II, as rows."""
    frequency, position = np.ogrid[:_KEPT, :_PIXELS]
    rows = np.cos(np.pi * frequency * (2 * position + 1) / (2 * _PIXELS)) * np.sqrt(2 / _PIXELS)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float64)


_COSINES: Final = _cosines()


def fingerprint(image: NDArray[np.uint8]) -> str:
    """The fingerprint of a decoded RGB image (height, width, 3) of any size, as 16 hex digits."""
    grey = Image.fromarray(image).convert("L").resize((_PIXELS, _PIXELS), Image.Resampling.BILINEAR)
    # Rounded, so that frequencies that a picture does not have are equal and not noise of the arithmetic.
    spectrum = (_COSINES @ np.asarray(grey, np.float64) @ _COSINES.T).ravel().round(6)
    # The first value is the mean brightness: it says nothing about the shape and would shift the median.
    return np.packbits(spectrum > np.median(spectrum[1:])).tobytes().hex()


def is_fingerprint(text: object) -> bool:
    """Whether a text is what `fingerprint` writes."""
    return isinstance(text, str) and _HEX.fullmatch(text) is not None


def distance(one: str, other: str) -> int:
    """In how many of their 64 bits two fingerprints differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
