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

FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What cameras write, by Pillow's names. It knows forty more, among them some that start other programs."""
SHOWN: Final = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}
"""What people can be shown as it is, and how the names of such files end; an MPO is a JPEG with more pictures behind
the first: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-input.html"""
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
SMALLER: Final = ((65_500, 90), (65_500, 75), (1920, 75), (1280, 75), (960, 70), (640, 70), (480, 60), (320, 60))
"""The longest side in pixels and the quality of a JPEG, tried in turn until it is short enough. 65,500 is the longest
that libjpeg writes; at 320 people still see what swims there."""

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


def encoded(frame: Frame, *, most_bytes: int) -> tuple[bytes, str]:
    """A frame as people are shown it, and how the name of its file ends: by what it is, whatever it was called.

    Its own bytes if they are a JPEG or PNG of at most `most_bytes`, else a JPEG of the pixels that the model saw, as
    much smaller as it has to be; where not even the smallest is short enough, that one.
    """
    content = frame.content
    if content is not None and len(content) <= most_bytes and (ending := SHOWN.get(_form(content))):
        return content, ending
    try:
        image = _image(frame)
    except Unreadable:  # for want of memory, as it could be classified: it goes as it came
        return content or b"", ""
    for side, quality in SMALLER:
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, comment=b"")  # of a GIF, it may be longer than a JPEG's can
        if buffer.tell() <= most_bytes:
            break
    return buffer.getvalue(), ".jpg"


def _form(content: bytes) -> str:
    """The format of an image's bytes, by Pillow's name; empty for none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                return str(image.format)
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
