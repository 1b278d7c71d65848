"""Whatever arrives as a frame becomes an input or is unreadable, in bounded time and memory, as it does in training."""

import io
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from classifier import preprocess
from classifier.configuration import parse
from classifier.frames import Frame, Unreadable
from classifier.simulation import Simulation
from classifier.sources.folder import Folder
from PIL import Image, PngImagePlugin

from jobs import images
from tests.edge import model_packages
from tests.edge.malformed_images import COUNT, animated, bombs, malformed, originals, progressive_bomb, webp_that_claims

SHAPE = (1, 3, 32, 32)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore:Image size:Warning:PIL")  # jobs pass them on


@contextmanager
def memory_within(*, mib: int) -> Iterator[None]:
    """At no moment is so much more memory held than at the beginning."""
    status = Path("/proc/self/status")

    def most_kib() -> int:
        return int(re.findall(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)[0])

    # The highest mark begins anew: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    Path("/proc/self/clear_refs").write_text("5")
    before = most_kib()
    yield
    assert most_kib() - before < mib * 1024


def outcome(content: bytes) -> str:
    """What becomes of it on the device; any other end is an error of the test."""
    try:
        tensor = preprocess.to_input(Frame("a.jpg", 0.0, content=content), SHAPE)
    except Unreadable as error:
        return "unreadable" if str(error) else "unreadable without a reason"
    assert (tensor.shape, tensor.dtype) == (SHAPE, np.float32)
    assert 0 <= tensor.min() <= tensor.max() <= 1
    return "input"


def test_what_arrives_ends_in_an_input_or_unreadable_in_bounded_time_and_memory() -> None:
    ends: Counter[str] = Counter()
    slowest = (0.0, "")
    some = list(itertools.islice(malformed(), 0, None, 5))
    with memory_within(mib=200):
        for name, content in some:
            begun = time.thread_time()
            ends[outcome(content)] += 1
            slowest = max(slowest, (time.thread_time() - begun, name))
    assert ends["input"] + ends["unreadable"] == len(some)
    assert min(ends.values()) > len(some) / 10, "damage that always or never matters proves little"
    assert slowest[0] < 2, slowest


def test_the_device_refuses_what_training_refuses_and_sees_what_training_sees() -> None:
    for name, content in itertools.islice(malformed(), 0, None, 7):
        try:
            learned = images.as_input(images.resized(images.decoded(content), SHAPE[3]))
        except images.UnreadableImage:
            with pytest.raises(Unreadable):
                preprocess.to_input(content, SHAPE)
        else:
            assert np.array_equal(preprocess.to_input(content, SHAPE), learned), name


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused_before_it_takes_memory_or_time(name: str) -> None:
    content, begun = bombs()[name], time.thread_time()
    with memory_within(mib=50):
        assert outcome(content) == "unreadable"
    assert time.thread_time() - begun < 2


@pytest.mark.parametrize(
    "read", [preprocess.to_input, lambda content, _: images.decoded(content)], ids=["device", "jobs"]
)
def test_a_jpeg_of_endless_scans_is_refused_unread(read) -> None:
    begun = time.thread_time()
    with pytest.raises((Unreadable, images.UnreadableImage), match="2006 scans"):
        read(progressive_bomb(2000, 2000), SHAPE)
    assert time.thread_time() - begun < 2


def test_a_progressive_jpeg_of_a_large_camera_is_read() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 4000)).save(buffer, "JPEG", progressive=True)
    assert outcome(buffer.getvalue()) == "input"


@pytest.mark.parametrize(("height", "expected"), [(8000, "input"), (8001, "unreadable")])
def test_training_and_device_have_the_same_limit_of_pixels(height: int, expected: str) -> None:
    buffer = io.BytesIO()
    Image.new("1", (8000, height)).save(buffer, "PNG")
    assert outcome(buffer.getvalue()) == expected
    if expected == "unreadable":
        with pytest.raises(images.UnreadableImage, match="exceeds limit of 64000000 pixels"):
            images.decoded(buffer.getvalue())


def test_an_empty_webp_of_many_million_pixels_takes_no_gigabyte() -> None:
    """Pillow's decoder of WebP holds four copies of a picture, which a few hundred bytes can ask for."""
    content = webp_that_claims(6000, 6000)
    assert Image.open(io.BytesIO(content)).size == (6000, 6000)
    with memory_within(mib=50):
        for read in (lambda: preprocess.to_input(content, SHAPE), lambda: images.decoded(content)):
            with pytest.raises((Unreadable, images.UnreadableImage), match="a WebP of 36000000 pixels"):
                read()


def test_every_whole_image_is_read_but_those_whose_values_would_be_cut_off() -> None:
    whole = originals(random.Random(1))
    refused = [content for content in whole if outcome(content) == "unreadable"]
    assert {Image.open(io.BytesIO(content)).mode for content in refused} == {"I;16", "F"}


def test_formats_that_start_other_programs_are_not_even_tried() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n" + b" " * 100
    assert Image.open(io.BytesIO(postscript)).format == "EPS"
    assert outcome(postscript) == "unreadable"


def test_the_orientation_in_the_exif_data_changes_nothing_as_in_training() -> None:
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("RGB")
    tensors = []
    for orientation in (1, 3, 6, 65535):
        exif, buffer = Image.Exif(), io.BytesIO()
        exif[0x112] = orientation
        picture.save(buffer, "PNG", exif=exif)
        tensors.append(preprocess.to_input(buffer.getvalue(), SHAPE))
    assert all(np.array_equal(tensor, tensors[0]) for tensor in tensors)


def test_of_an_animation_the_first_picture_counts() -> None:
    for form in ("PNG", "WEBP", "GIF"):
        assert preprocess.to_input(animated(form), SHAPE)[0, 0].mean() == pytest.approx(200 / 255, abs=0.03)


def test_texts_that_inflate_are_no_way_to_the_memory() -> None:
    texts, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    for number in range(200):
        texts.add_text(f"k{number}", "x" * 999_999, zip=True)
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=texts)
    with memory_within(mib=150):
        outcome(buffer.getvalue())


def test_pixels_of_a_camera_become_the_same_input_as_the_image_that_holds_them(tmp_path: Path) -> None:
    pixels = np.frombuffer(random.Random(1).randbytes(48 * 64 * 3), np.uint8).reshape(48, 64, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    live = preprocess.to_input(Frame("camera", 0.0, pixels=pixels), SHAPE)
    assert np.array_equal(live, preprocess.to_input(buffer.getvalue(), SHAPE))


def test_a_frame_of_nothing_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="neither bytes nor pixels"):
        preprocess.to_input(Frame("empty", 0.0), SHAPE)


class _UntilEmpty(Folder):
    """The folder of a device to which nobody writes any more."""

    left = COUNT + 1

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        return self.left == 0

    def finish(self, frame: Frame) -> None:
        super().finish(frame)
        self.left -= 1

    def set_aside(self, frame: Frame, reason: str) -> bool:
        self.left -= 1
        return super().set_aside(frame, reason)


def test_the_component_counts_each_of_ten_thousand_and_classifies_what_comes_after_them(tmp_path: Path) -> None:
    """Source, worker, model, policy and spool are the real ones; only time is not."""
    link = tmp_path / "current"
    link.symlink_to(model_packages.write(tmp_path / "package", version="m1"))
    simulation = Simulation(tmp_path / "work", parse({"keep_frames": COUNT + 1}), model=link)
    simulation.begin()
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, (_, content) in enumerate(malformed()):
        (frames / f"{number:05d}.jpg").write_bytes(content)
    (frames / "last.png").write_bytes(model_packages.image("red"))
    done, aside = tmp_path / "done", tmp_path / "unreadable"
    source = _UntilEmpty(frames, done=done, unreadable=aside, clock=simulation.clock, poll_seconds=1, keep=COUNT + 1)
    simulation.play(source)
    simulation.finish(seconds=2)
    summaries = [record.body for record in simulation.cloud.of("summary")]
    classified, unreadable = (sum(body[name] for body in summaries) for name in ("frames", "unreadable"))
    assert classified + unreadable == COUNT + 1
    assert (len(list(done.iterdir())), len(list(aside.iterdir()))) == (classified, unreadable)
    assert (done / "last.png").exists()
