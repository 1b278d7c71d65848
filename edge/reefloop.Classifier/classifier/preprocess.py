"""A frame to the model's input, exactly as in training: decode, RGB, resize (bilinear), 0..1, NCHW.

What training refuses is refused here too, since its answer would be worth nothing: jobs/images.py has the same rules.
The EXIF orientation is ignored, as it is in training. Of an animation the first picture counts.
"""

import io
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from classifier.frames import Frame, Unreadable

ENDINGS: Final = {
    "BMP": ".bmp",
    "GIF": ".gif",
    "JPEG": ".jpg",
    "PNG": ".png",
    "PPM": ".ppm",
    "TIFF": ".tif",
    "WEBP": ".webp",
}
"""Of the names of files, by format."""
FORMATS: Final = tuple(ENDINGS)
"""What cameras write, by Pillow's names. It knows forty more, among them some that start other programs."""
DEEP: Final = ("I", "F")
"""Grey values of 16 bits and more, of which Pillow keeps 0 to 255 and makes the rest white."""
MAXIMUM_PIXELS: Final = 64_000_000
"""Cameras have up to 61 million. A device has half a gigabyte to spare: decoding takes eight bytes a pixel,"""
MAXIMUM_PIXELS_OF_WEBP: Final = 32_000_000
"""and sixteen of WebP."""
MAXIMUM_SCANNED: Final = 2_000_000_000
"""Pixels times scans of a JPEG. A progressive one has about ten scans; each passes over the whole picture, in however
few bytes: https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf"""
START_OF_SCAN: Final = b"\xff\xda"
JPEG_QUALITY: Final = 90

# Pillow warns above this and raises above twice as much, by what the header says and by what follows, as in a GIF.
Image.MAX_IMAGE_PIXELS = MAXIMUM_PIXELS // 2


def to_input(picture: Frame | bytes, shape: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
    """The input tensor of one frame, or of an image's bytes; `shape` is the model's (1, 3, height, width).

    Raises:
        Unreadable: this is no image that can be decoded.
    """
    _, _, height, width = shape
    resized = _image(picture).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


def encoded(frame: Frame) -> bytes:
    """A frame's image file: its own bytes, or its pixels as a JPEG."""
    if frame.content is not None:
        return frame.content
    buffer = io.BytesIO()
    _image(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def ending(content: bytes) -> str:
    """How the name of an image's file ends: by what it is, whatever it was called."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                return ENDINGS.get(str(image.format), ".jpg")  # an MPO is a JPEG with more pictures behind the first
        except OSError:
            return ""


def _image(picture: Frame | bytes) -> Image.Image:
    if isinstance(picture, bytes):
        return _decoded(picture)
    if picture.content is not None:
        return _decoded(picture.content)
    if picture.pixels is None:
        raise Unreadable(f"{picture.name} has neither bytes nor pixels")
    return Image.fromarray(picture.pixels)


def _decoded(content: bytes) -> Image.Image:
    """
    Raises:
        Unreadable: these bytes are no image that can be decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and large images; the checks here decide
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check(image, content)
                image.load()
                return image if image.mode == "RGB" else image.convert("RGB")
    except Unreadable:
        raise
    # Pillow's plugins raise nearly anything on malformed files: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None


def _check(image: Image.Image, content: bytes) -> None:
    """
    Raises:
        Unreadable: it would cost too much memory or time, or be decoded to something else than it shows.
    """
    if image.mode.startswith(DEEP):
        raise Unreadable(f"more than 8 bits per channel ({image.mode}), which would be cut off")
    pixels = image.width * image.height
    if image.format == "WEBP" and pixels > MAXIMUM_PIXELS_OF_WEBP:
        raise Unreadable(f"a WebP of {pixels} pixels; at most {MAXIMUM_PIXELS_OF_WEBP} are decoded")
    if image.format in ("JPEG", "MPO") and pixels * content.count(START_OF_SCAN) > MAXIMUM_SCANNED:
        raise Unreadable(f"a JPEG of {content.count(START_OF_SCAN)} scans of {pixels} pixels: it would take too long")
