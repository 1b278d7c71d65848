"""Every image decoded once per host, into one file that all processes of the host map.

Decoding a photograph takes longer than a training step on it, and every epoch would decode it again. The file holds
bytes at the resolution of the training, so its size is known before the first image is read.
"""

import errno
import math
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs import images
from jobs.errors import JobError
from jobs.images import UnreadableImage
from jobs.training.processes import Processes

CHUNK: Final = 32
THREADS: Final = min(16, 4 * (os.cpu_count() or 1))
"""More than cores: with a streamed channel most of an image's time is the bucket's."""
PAUSES_SECONDS: Final = (0.2, 1.0, 4.0)
"""Before another attempt at a file that should be there and cannot be read: a streamed channel is a network."""
PROBLEMS_LISTED: Final = 100
ABSENT: Final = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
"""What no further attempt changes."""
GIB: Final = 2**30

Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Pictures(Protocol):
    """Images by number, each pixels x pixels x RGB."""

    @property
    def pixels(self) -> int: ...

    def read(self, rows: Rows, out: Bytes) -> None:
        """Write the images of these rows to `out`, [len(rows), pixels, pixels, 3]. Many threads may at once."""


@dataclass(frozen=True)
class Files:
    """Images decoded whenever they are asked for.

    Raises:
        UnreadableImage: on reading one, saying why.
    """

    paths: Sequence[Path]
    pixels: int

    def read(self, rows: Rows, out: Bytes) -> None:
        for place, row in zip(out, rows, strict=True):
            place[...] = images.resized(_decoded(self.paths[row]), self.pixels)


@dataclass(frozen=True)
class Decoded:
    """Images in memory or in a mapped file: [n, pixels, pixels, 3]."""

    values: Bytes

    @property
    def pixels(self) -> int:
        return int(self.values.shape[1])

    def read(self, rows: Rows, out: Bytes) -> None:
        # "clip" writes to `out` without a copy between, and without the interpreter's lock.
        np.take(self.values, rows, axis=0, out=out, mode="clip")


def decoded_once(files: Files, folder: Path, processes: Processes, *, patience: int) -> tuple[Decoded, dict[int, str]]:
    """Decode every image into a file under `folder`; the processes of a host share the work and the file.

    Args:
        patience: unreadable images after which a process need not look at the rest.

    Returns:
        The images, and why those that cannot be read cannot, by row. Every process of every host gets the same: an
        image that one host could not read is used by none.

    Raises:
        JobError: the disk is too small.
    """
    path, shape = folder / "images.uint8", (len(files.paths), files.pixels, files.pixels, 3)
    refusal = _reserve(path, math.prod(shape)) if processes.local_rank == 0 else None
    for found in processes.gathered(refusal):
        if found:
            raise JobError(found)
    values = np.memmap(path, np.uint8, "r+", shape=shape)
    problems: dict[int, str] = {}

    def fill(rows: range) -> None:
        for row in rows:
            if len(problems) > max(patience, PROBLEMS_LISTED):
                return
            try:
                files.read(np.array([row]), values[row : row + 1])
            except UnreadableImage as error:
                problems[row] = str(error)

    mine = range(processes.local_rank, len(files.paths), processes.local_size)
    # Pillow decodes without the interpreter's lock.
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, (mine[start : start + CHUNK] for start in range(0, len(mine), CHUNK))))
    everyone: dict[int, str] = {}
    for part in processes.gathered(problems):
        everyone |= part
    return Decoded(np.memmap(path, np.uint8, "r", shape=shape)), dict(sorted(everyone.items()))


def _reserve(path: Path, size: int) -> str | None:
    """Make a file of `size` bytes with its place on the disk; why that is impossible, or None.

    A map of a file without its place would end the process with a bus error where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    free = shutil.disk_usage(path.parent).free
    try:
        if free < size:
            raise OSError
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        path.unlink(missing_ok=True)
        return (
            f"the decoded images need {size} bytes and the disk has {free} free: raise training.volume_gib by "
            f"{math.ceil((size - free) / GIB) + 1}, take an instance type with a larger disk, or lower "
            "training.image_pixels"
        )
    return None


def _decoded(path: Path) -> Image.Image:
    """
    Raises:
        UnreadableImage: missing, no image, or not to be read after several attempts.
    """
    for pause in (*PAUSES_SECONDS, None):
        try:
            return images.decoded(path.read_bytes())
        except ValueError:
            raise UnreadableImage("missing: no file can have this name") from None
        except OSError as error:
            if error.errno in ABSENT:
                raise UnreadableImage("missing") from None
            if pause is None:
                raise UnreadableImage(f"{error.strerror or error}, {len(PAUSES_SECONDS) + 1} times") from None
            time.sleep(pause)
    raise AssertionError("unreachable")
