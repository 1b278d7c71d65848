"""What people are shown of a frame: what the model saw, in a file that they can open and that may leave the device."""

import io
import random

import cv2
import numpy as np
import pytest
from classifier import preprocess
from classifier.frames import Frame, Unreadable
from PIL import Image

from tests.edge import model_packages

SHAPE = (1, 3, 32, 32)
PLENTY = 1_000_000


@pytest.mark.parametrize(("form", "ending"), [("JPEG", ".jpg"), ("MPO", ".jpg"), ("PNG", ".png")])
def test_what_people_can_be_shown_is_sent_as_it_came(form: str, ending: str) -> None:
    content = model_packages.image("red", form=form)
    assert preprocess.encoded(Frame("a.php", 0.0, content=content), most_bytes=PLENTY) == (content, ending)


@pytest.mark.parametrize("form", ["BMP", "GIF", "PPM", "TIFF", "WEBP"])
def test_of_every_other_file_people_get_a_jpeg_of_what_the_model_saw(form: str) -> None:
    content = model_packages.image("red", form=form)
    sent, ending = preprocess.encoded(Frame("a", 0.0, content=content), most_bytes=PLENTY)
    assert (Image.open(io.BytesIO(sent)).format, ending) == ("JPEG", ".jpg")
    assert preprocess.to_input(sent, SHAPE) == pytest.approx(preprocess.to_input(content, SHAPE), abs=0.03)


def test_pixels_are_sent_as_a_jpeg() -> None:
    pixels = np.full((48, 64, 3), 99, np.uint8)
    content, ending = preprocess.encoded(Frame("camera", 0.0, pixels=pixels), most_bytes=PLENTY)
    sent = Image.open(io.BytesIO(content))
    assert (sent.format, sent.size, ending) == ("JPEG", (64, 48), ".jpg")
    assert np.asarray(sent).mean() == pytest.approx(99, abs=1)


def noise(form: str, *, width: int = 1600, height: int = 1200) -> bytes:
    """An image that compresses as badly as any."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(2).randbytes(3 * width * height)).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("most_bytes", [500_000, 100_000, 40_000])
def test_what_is_longer_than_may_leave_becomes_a_smaller_jpeg_of_the_same_shape(form: str, most_bytes: int) -> None:
    content, ending = preprocess.encoded(Frame("a", 0.0, content=noise(form)), most_bytes=most_bytes)
    assert ending == ".jpg"
    assert len(content) <= most_bytes
    with Image.open(io.BytesIO(content)) as sent:
        assert sent.width / sent.height == pytest.approx(4 / 3, rel=0.01)
        assert sent.width >= 320


def test_where_nothing_is_short_enough_the_smallest_is_sent_on_to_be_judged() -> None:
    content, _ = preprocess.encoded(Frame("a", 0.0, content=noise("JPEG")), most_bytes=0)
    assert Image.open(io.BytesIO(content)).size == (320, 240)


def test_what_no_jpeg_can_hold_is_sent_all_the_same() -> None:
    wide, comment = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (70_000, 2)).save(wide, "BMP")
    Image.new("P", (8, 8)).save(comment, "GIF", comment=b"x" * 70_000)
    for content in (wide.getvalue(), comment.getvalue()):
        sent, _ = preprocess.encoded(Frame("a", 0.0, content=content), most_bytes=PLENTY)
        assert Image.open(io.BytesIO(sent)).format == "JPEG"


def test_grey_of_sixteen_bits_is_refused_and_colours_of_sixteen_bits_go_as_training_reads_them() -> None:
    grey = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(grey, "PNG")
    with pytest.raises(Unreadable, match="more than 8 bits"):
        preprocess.to_input(grey.getvalue(), SHAPE)
    _, deep = cv2.imencode(".png", np.full((8, 8, 3), 40_000, np.uint16))
    assert preprocess.encoded(Frame("a", 0.0, content=deep.tobytes()), most_bytes=PLENTY) == (deep.tobytes(), ".png")
    assert preprocess.to_input(deep.tobytes(), SHAPE).mean() == pytest.approx(40_000 / 65_535, abs=0.01)
