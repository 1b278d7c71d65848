"""Image bytes to the model's input, exactly as in training: decode, RGB, resize (bilinear), 0..1, NCHW.

The EXIF orientation is ignored, as it is in training.
"""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image

from classifier.source import Unreadable

# More than any camera of the fleet; a small file can claim to be 50,000 x 50,000.
MAXIMUM_PIXELS = 100_000_000


def to_input(content: bytes, shape: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
    """The input tensor of one image; `shape` is the model's (1, 3, height, width).

    Raises:
        Unreadable: these bytes are no image that can be decoded.
    """
    _, _, height, width = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and large images; the checks here decide
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MAXIMUM_PIXELS:
                    raise Unreadable(f"{image.width} x {image.height} pixels; at most {MAXIMUM_PIXELS} are decoded")
                resized = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    except Unreadable:
        raise
    # Pillow's plugins raise nearly anything on malformed files: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None
    pixels = np.asarray(resized, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
