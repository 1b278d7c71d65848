"""What becomes of frames: classified once, sent when uncertain, counted whatever they are."""

import hashlib
import struct
import threading
import time
import zlib

import pytest
from classifier import preprocess
from classifier.policy import HOUR_SECONDS, ReviewPolicy
from classifier.source import Unreadable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.edge.conftest import THING, Cloud, Device
from tests.edge.model_packages import image

SHAPE = (1, 3, 8, 8)


def png_that_claims(width: int, height: int) -> bytes:
    """The header of a picture that nobody has the memory for."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


MALFORMED = {
    "empty.jpg": b"",
    "text.jpg": b"not a picture",
    "bomb.png": png_that_claims(50_000, 50_000),
    "cut.jpg": image("red", size=64, form="JPEG")[:300],
    "head.png": b"\x89PNG\r\n\x1a\n",
}


def test_a_frame_that_the_model_is_sure_of_stays_on_the_device(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    device.see("a.png", image("red"))
    device.once()
    assert [(line["frame"], line["label"]) for line in device.results] == [("a.png", "red")]
    assert device.results[0]["probability"] > 0.99
    assert cloud.keys("images/") == []


def test_a_frame_that_the_model_is_unsure_of_is_sent_as_it_is(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    frame = image("grey", form="JPEG")
    device.see("a.JPG", frame)
    device.once()
    key = f"images/edge/{THING}/{hashlib.sha256(frame).hexdigest()[:16]}.jpg"
    assert cloud.objects[key] == frame


def test_no_frame_is_classified_twice(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    device.see("a.png", image("grey"))
    device.once()
    device.once()
    assert len(device.results) == 1
    assert len(cloud.summaries) == 1
    assert (device.work / "done" / "a.png").exists()


def test_frames_wait_while_there_is_no_model(device: Device, cloud: Cloud) -> None:
    device.see("a.png", image("red"))
    device.once()
    assert (device.frames / "a.png").exists()
    assert cloud.objects == {}


def test_a_summary_tells_what_the_window_saw(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    for name, content in {"a.png": image("red"), "b.png": image("grey"), "c.png": image("red"), "d.png": b"?"}.items():
        device.see(name, content)
    device.once()
    (summary,) = cloud.summaries
    assert (summary["thing"], summary["model_version"]) == (THING, "m1")
    assert (summary["frames"], summary["unreadable"], summary["sent_frames"]) == (3, 1, 1)
    assert summary["counts"]["red"] in (2, 3)  # grey is a tie
    status = len(cloud.objects[f"devices/{THING}/status.json"])
    assert summary["bytes_sent"] == len(image("grey")) + status
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert summary["frames_per_second"] > 0
    assert summary["from"] < summary["to"]


def test_nothing_seen_is_nothing_sent(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    device.once()
    assert cloud.summaries == []


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_frame_is_counted_and_set_aside(device: Device, cloud: Cloud, name: str) -> None:
    device.deploy("m1")
    device.see(name, MALFORMED[name])
    device.see("z.png", image("blue"))
    device.once()
    assert cloud.summaries[0]["unreadable"] == 1
    assert [line["label"] for line in device.results] == ["blue"]
    assert (device.work / "unreadable" / name).exists()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    form=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"]),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
)
def test_damaged_bytes_give_an_input_or_unreadable_and_nothing_else(
    form: str, cut: float, flips: list[tuple[float, int]]
) -> None:
    content = bytearray(image("red", size=24, form=form))
    for where, value in flips:
        content[int(where * len(content))] = value
    try:
        tensor = preprocess.to_input(bytes(content[: int(cut * len(content))]), SHAPE)
    except Unreadable:
        return
    assert tensor.shape == SHAPE
    assert 0 <= tensor.min() <= tensor.max() <= 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        preprocess.to_input(content, SHAPE)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_kind_of_pixel_becomes_rgb(mode: str, tmp_path) -> None:
    path = tmp_path / ("frame.jpg" if mode == "CMYK" else "frame.png")
    Image.new(mode, (5, 7)).save(path)
    assert preprocess.to_input(path.read_bytes(), SHAPE).shape == SHAPE


def test_a_frame_that_is_still_being_written_is_left_until_it_settles(device: Device, cloud: Cloud) -> None:
    device.deploy("m1")
    whole = image("red", size=64, form="JPEG")
    device.see("a.jpg", whole[:200])
    stop = threading.Event()
    thread = threading.Thread(target=device.pipeline(stop).run)
    thread.start()
    try:
        time.sleep(0.3)
        assert (device.frames / "a.jpg").exists()
        device.see("a.jpg", whole)
        deadline = time.monotonic() + 5
        while (device.frames / "a.jpg").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()
    assert [line["label"] for line in device.results] == ["red"]
    assert cloud.summaries[0]["unreadable"] == 0


def test_only_regular_files_are_frames(device: Device) -> None:
    device.deploy("m1")
    (device.frames / "folder").mkdir()
    (device.frames / ".hidden.png").write_bytes(image("red"))
    (device.frames / "link.png").symlink_to("/etc/hostname")
    device.once()
    assert device.results == []
    assert (device.frames / "link.png").is_symlink()


def test_old_frames_are_deleted(device: Device) -> None:
    device.deploy("m1")
    for index in range(6):
        device.see(f"{index}.png", image((index, 0, 0)))
    device.once(keep_frames=2)
    assert len(list((device.work / "done").iterdir())) == 2


@given(
    limit=st.integers(0, 5),
    arrivals=st.lists(st.floats(0, 900), min_size=1, max_size=60),
    probability=st.floats(0, 1),
)
def test_review_never_exceeds_its_limit_in_any_hour(limit: int, arrivals: list[float], probability: float) -> None:
    policy, now, sent = ReviewPolicy(limit), 0.0, []
    for wait in arrivals:
        now += wait
        if policy.wants(probability=probability, uncertain_below=0.5, now_seconds=now):
            sent.append(now)
    assert all(sum(start <= at < start + HOUR_SECONDS for at in sent) <= limit for start in sent)
    assert probability < 0.5 or not sent
