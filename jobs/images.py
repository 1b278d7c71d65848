"""From a file to what the network sees, the same in training, in scoring and on the device."""

from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

# The device has the same rules: what is refused there must not be learned from here.
FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What cameras write, by Pillow's names. It knows forty more, among them some that start other programs."""
DEEP: Final = ("I", "F")
"""Grey values of 16 bits and more, of which Pillow keeps 0 to 255 and makes the rest white:
https://pillow.readthedocs.io/en/stable/handbook/concepts.html#modes"""
MAXIMUM_PIXELS: Final = 64_000_000
"""Cameras have up to 61 million. A device has half a gigabyte to spare: decoding takes eight bytes a pixel,"""
MAXIMUM_PIXELS_OF_WEBP: Final = 32_000_000
"""and sixteen of WebP."""
MAXIMUM_SCANNED: Final = 2_000_000_000
"""Pixels times scans of a JPEG. A progressive one has about ten scans; each passes over the whole picture, in however
few bytes: https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf"""
START_OF_SCAN: Final = b"\xff\xda"

# Pillow warns above this and raises above twice as much, by what the header says and by what follows, as in a GIF.
Image.MAX_IMAGE_PIXELS = MAXIMUM_PIXELS // 2


class UnreadableImage(Exception):
    """A file that is missing or that Pillow cannot decode."""


def load(path: Path, pixels: int) -> NDArray[np.uint8]:
    """Decode, convert to RGB, resize to (pixels, pixels) bilinearly: HWC bytes.

    Raises:
        UnreadableImage: saying why.
    """
    return resized(decode(path), pixels)


def decode(path: Path) -> Image.Image:
    """An image in RGB, as large as it is.

    Raises:
        UnreadableImage: saying why.
    """
    try:
        return decoded(path.read_bytes())
    except FileNotFoundError:
        raise UnreadableImage("missing") from None
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"{type(error).__name__}: {error}".replace(str(path), path.name)) from None


def decoded(content: bytes) -> Image.Image:
    """The image that a file's bytes hold, in RGB.

    Raises:
        UnreadableImage: saying why.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check(image, content)
            return image.convert("RGB")
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("UnidentifiedImageError: no image format that is known") from None
    # Pillow's decoders raise nearly anything on bytes that are not an image.
    except Exception as error:
        raise UnreadableImage(f"{type(error).__name__}: {error}") from None


def _check(image: Image.Image, content: bytes) -> None:
    """
    Raises:
        UnreadableImage: it would cost too much memory or time, or be decoded to something else than it shows.
    """
    if image.mode.startswith(DEEP):
        raise UnreadableImage(f"more than 8 bits per channel ({image.mode}), which would be cut off: convert it")
    pixels = image.width * image.height
    if image.format == "WEBP" and pixels > MAXIMUM_PIXELS_OF_WEBP:
        raise UnreadableImage(f"a WebP of {pixels} pixels; at most {MAXIMUM_PIXELS_OF_WEBP} are decoded")
    if image.format in ("JPEG", "MPO") and pixels * content.count(START_OF_SCAN) > MAXIMUM_SCANNED:
        raise UnreadableImage(
            f"a JPEG of {content.count(START_OF_SCAN)} scans of {pixels} pixels: it would take too long, save it anew"
        )


def resized(image: Image.Image, pixels: int) -> NDArray[np.uint8]:
    """An image resized to (pixels, pixels) bilinearly: HWC bytes."""
    return np.asarray(image.resize((pixels, pixels), Image.Resampling.BILINEAR))


def as_input(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One HWC image as the model's input: float32 [1, 3, pixels, pixels], 0..1."""
    return (image.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
