"""A frame: what a source hands on, and what cannot be one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


class Unreadable(Exception):
    """What came is no usable frame; the message says why."""


@dataclass(frozen=True)
class Frame:
    """One picture, as encoded bytes or as decoded pixels; exactly one of both is there.

    `taken` is the clock's `elapsed` when the source got it. `path` is the file that `finish` of a folder moves away.
    """

    name: str
    taken: float
    content: bytes | None = None
    pixels: Pixels | None = None
    """RGB, [height, width, 3]."""
    path: Path | None = None
