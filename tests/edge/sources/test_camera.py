"""Cameras that come and go: asked again after growing pauses, never in a hurry, and given up without harm."""

import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from classifier import sources
from classifier.clock import ManualClock
from classifier.configuration import Invalid, parse
from classifier.frames import Frame, Unreadable
from classifier.sources import camera
from classifier.sources.address import Address
from classifier.sources.camera import LAST_PAUSE_SECONDS, WARM_UP_FRAMES, Camera, Still, Stream
from classifier.sources.capture import Capture, Connection

from tests.edge.device import said
from tests.edge.sources.cameras import HEIGHT, WIDTH, Cameras, FakeCapture, Patience

COMPONENT = Path(__file__).parents[3] / "edge" / "reefloop.Classifier"
SECRET = "rtsp://reef:se@cret@10.0.0.7/live?pwd=hush"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stop(clock: ManualClock) -> Patience:
    return Patience(clock)


def stream(clock: ManualClock, cameras: Callable[[str], Capture], *, fps: float = 2, text: str = "0") -> Stream:
    return Stream(Address(text, folder=Path()), clock=clock, frames_per_second=fps, opener=cameras)


def frames_within(camera: Camera, clock: ManualClock, stop: Patience, seconds: float) -> list[Frame]:
    until, found = clock.elapsed() + seconds, []
    while clock.elapsed() < until:
        frame = camera.next(stop)
        if frame:
            found.append(frame)
    return found


def test_of_a_stream_so_many_frames_a_second_are_decoded_and_the_others_only_fetched(
    clock: ManualClock, stop: Patience
) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, fps=25))
    found = frames_within(stream(clock, cameras, fps=2), clock, stop, 60)
    assert len(found) == pytest.approx(120, abs=2)
    assert cameras.opened[0].grabbed == pytest.approx(60 * 25, abs=25)
    assert cameras.opened[0].retrieved == len(found)


def test_a_camera_slower_than_wanted_gives_every_frame(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, fps=5))
    found = frames_within(stream(clock, cameras, fps=100), clock, stop, 10)
    assert len(found) == cameras.opened[0].grabbed == pytest.approx(50, abs=1)


def test_a_frame_has_three_colours_in_the_right_order_and_the_time_it_was_taken(
    clock: ManualClock, stop: Patience
) -> None:
    (frame, *_) = frames_within(stream(clock, Cameras(clock, partial(FakeCapture, clock))), clock, stop, 2)
    assert frame.pixels is not None
    assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
    assert frame.pixels[0, 0].tolist() == [30, 20, 10]
    assert 0 < frame.taken <= clock.elapsed()


def test_a_stream_that_breaks_off_is_opened_again(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, frames=50))
    found = frames_within(stream(clock, cameras), clock, stop, 600)
    assert len(cameras.opened) > 10
    assert all(camera.released for camera in cameras.opened[:-1])
    assert len(found) > 100


def test_pauses_grow_to_a_minute_with_jitter_while_a_camera_is_away(
    clock: ManualClock, stop: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, opened=False))
    frames_within(stream(clock, cameras), clock, stop, 3600)
    pauses = np.diff(cameras.times)
    assert all(0.5 * 2**index <= pause <= 2**index + 1 for index, pause in enumerate(pauses[:6]))
    assert all(0.5 * LAST_PAUSE_SECONDS <= pause <= LAST_PAUSE_SECONDS + 1 for pause in pauses[6:])
    assert len({round(pause) for pause in pauses[6:]}) > 5, "cameras of one mooring do not ask at the same moment"
    assert len(said(caplog, camera)) == 1, "the log says it once"


def test_a_camera_that_drops_every_connection_is_not_asked_in_a_hurry(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, frames=1))
    frames_within(stream(clock, cameras), clock, stop, 3600)
    assert len(cameras.opened) < 100


def test_a_camera_that_was_steady_is_asked_again_at_once(clock: ManualClock, stop: Patience) -> None:
    away = [partial(FakeCapture, clock, opened=False)] * 8
    cameras = Cameras(clock, *away, partial(FakeCapture, clock, frames=600), partial(FakeCapture, clock))
    camera = stream(clock, cameras)
    frames_within(camera, clock, stop, 3600)
    steady, after = cameras.times[8:10]
    assert 60 < after - steady < 62


def test_a_frame_that_is_no_picture_counts_and_the_next_one_comes(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock))
    camera = stream(clock, cameras)
    frames_within(camera, clock, stop, 1)
    whole = cameras.opened[0].pixels
    for wrong in (None, whole[:, :, 0], whole.astype(np.uint16), np.empty((0, 0, 3), np.uint8)):
        cameras.opened[0].pixels = wrong
        with pytest.raises(Unreadable):
            frames_within(camera, clock, stop, 1)
    cameras.opened[0].pixels = whole
    assert frames_within(camera, clock, stop, 2)


def test_a_driver_that_raises_is_a_lost_connection(clock: ManualClock, stop: Patience) -> None:
    class Raising(FakeCapture):
        def grab(self) -> bool:
            super().grab()
            raise RuntimeError(f"no answer from {SECRET}")

    cameras = Cameras(clock, partial(Raising, clock), partial(FakeCapture, clock))
    assert frames_within(stream(clock, cameras), clock, stop, 10)


def test_a_still_camera_is_opened_for_each_picture(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock))
    camera = Still(Address("/dev/video0", folder=Path()), clock=clock, seconds=30, opener=cameras)
    found = frames_within(camera, clock, stop, 300)
    assert len(found) == len(cameras.opened) == 10
    assert all(capture.released and capture.grabbed == 1 + WARM_UP_FRAMES for capture in cameras.opened)
    assert np.diff([frame.taken for frame in found]) == pytest.approx(30, abs=1)


def test_a_still_camera_on_the_network_gives_its_only_picture(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, frames=1))
    camera = Still(Address("http://10.0.0.7/still.jpg", folder=Path()), clock=clock, seconds=30, opener=cameras)
    assert len(frames_within(camera, clock, stop, 300)) == 10


def test_a_still_camera_that_fails_is_asked_again_after_a_pause(clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, frames=0), partial(FakeCapture, clock))
    camera = Still(Address("0", folder=Path()), clock=clock, seconds=600, opener=cameras)
    assert len(frames_within(camera, clock, stop, 30)) == 1


class Hanging(FakeCapture):
    """A read that comes back when told."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.reading, self.answer = threading.Event(), threading.Event()

    def grab(self) -> bool:
        self.reading.set()
        assert self.answer.wait(10)
        assert not self.released, "released under a reading thread: OpenCV would crash"
        return True


def test_a_read_that_hangs_can_be_given_up_and_lets_go_of_the_device_when_it_returns(clock: ManualClock) -> None:
    capture = Hanging(clock)
    camera = stream(clock, lambda _: capture)
    stop, found = threading.Event(), []
    thread = threading.Thread(target=lambda: found.append(camera.next(stop)))
    thread.start()
    try:
        assert capture.reading.wait(10)
        stop.set()
        camera.close()  # returns at once
        assert not capture.released
    finally:
        capture.answer.set()
        thread.join(10)
    assert capture.released == 1
    assert found == [None]
    assert camera.next(threading.Event()) is None


def test_a_camera_that_is_given_up_while_it_opens_is_let_go_of_then(clock: ManualClock, stop: Patience) -> None:
    capture = FakeCapture(clock)

    def slow(_: str) -> FakeCapture:
        camera.close()
        return capture

    camera = stream(clock, slow)
    assert camera.next(stop) is None
    assert capture.released == 1


def test_a_password_stands_neither_in_the_log_nor_in_an_error(
    clock: ManualClock, stop: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing(address: str) -> FakeCapture:
        raise RuntimeError(f"cannot open {address}")

    for makes in (refusing, Cameras(clock, partial(FakeCapture, clock, opened=False))):
        frames_within(stream(clock, makes, text=SECRET), clock, stop, 3)
    camera = stream(clock, Cameras(clock, partial(FakeCapture, clock, frames=1)), text=SECRET)
    frame, *_ = frames_within(camera, clock, stop, 1)
    camera.set_aside(frame, "black")
    with pytest.raises(Invalid) as refusal:
        parse({"source": SECRET})
    said = caplog.text + frame.name + str(refusal.value)
    assert "10.0.0.7" in said
    assert all(part not in said for part in ("se@cret", "cret", "hush"))


def test_opencv_itself_prints_no_password(tmp_path: Path) -> None:
    """FFmpeg and OpenCV write to the process's own error stream, which is the component's log."""
    program = f"""
import sys; sys.path.insert(0, {str(COMPONENT)!r})
import logging; logging.basicConfig(level=logging.DEBUG)
from classifier.sources.capture import opencv
for address in ("rtsp://reef:secret@127.0.0.1:1/x", "http://reef:secret@127.0.0.1:1/x%02d.jpg", "secret://a:secret@b"):
    assert not opencv(address).isOpened()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_an_address_in_a_file_is_read_at_every_attempt(tmp_path: Path, clock: ManualClock, stop: Patience) -> None:
    cameras = Cameras(clock, partial(FakeCapture, clock, opened=False))
    address = Address("@camera.txt", folder=tmp_path)
    camera = Stream(address, clock=clock, frames_per_second=2, opener=cameras)
    frames_within(camera, clock, stop, 5)
    assert cameras.addresses == []
    for text in ("rtsp://a:b@c/1\n", "rtsp://a:new@c/1\n"):
        (tmp_path / "camera.txt").write_text(text)
        frames_within(camera, clock, stop, 200)
        assert cameras.addresses[-1] == text.strip()
    assert address.shown == "@camera.txt"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xffsecret"], ids=["none", "empty", "blank", "no text"])
def test_what_is_wrong_with_the_file_of_an_address_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "camera.txt").write_bytes(content)
    with pytest.raises(Unreadable, match=r"the address should be in .*camera\.txt") as refusal:
        Address("@camera.txt", folder=tmp_path).read()
    assert "secret" not in str(refusal.value)


def test_without_opencv_a_camera_says_so_and_a_folder_does_without(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path.insert(0, {str(COMPONENT)!r})
import threading
from pathlib import Path
from classifier import sources
from classifier.clock import SystemClock
from classifier.configuration import parse
from classifier.frames import Unreadable
from classifier.sources.capture import opencv
sources.open(parse({{}}), Path({str(tmp_path)!r}), SystemClock()).next(threading.Event())
assert "cv2" not in sys.modules
sys.modules["cv2"] = None
try:
    opencv("0")
except Unreadable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "OpenCV is needed" in done.stdout, done.stderr


def test_a_device_that_is_not_there_cannot_be_opened() -> None:
    with pytest.raises(Unreadable, match="cannot be opened"):
        Connection.open(sources.capture.opencv, Address("/dev/video77", folder=Path()))


@pytest.mark.parametrize(
    ("text", "kind", "live"),
    [
        ("folder:in", "Folder", False),
        ("video:a.mp4", "Video", False),
        ("still:0", "Still", True),
        ("stream:0", "Stream", True),
    ],
)
def test_the_configuration_chooses_the_source(
    tmp_path: Path, clock: ManualClock, text: str, kind: str, live: bool
) -> None:
    source = sources.open(parse({"source": text}), tmp_path, clock)
    assert (type(source).__name__, source.live, source.exhausted) == (kind, live, False)
    source.close()
