"""OpenCV's own reader on a camera of the network: motion JPEG over HTTP on loopback, which stalls and drops out."""

import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from classifier import sources
from classifier.clock import SystemClock
from classifier.configuration import parse
from classifier.frames import Frame
from classifier.sources import camera, capture
from PIL import Image

PER_CONNECTION = 12


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (level, level, level)).save(buffer, "JPEG")
    return buffer.getvalue()


class Camera(ThreadingHTTPServer):
    """A picture at each connection's every 5 ms; after twelve it drops the connection, or stalls."""

    daemon_threads = True

    def __init__(self, *, stalls: bool) -> None:
        self.connections, self.stalls, self.over = itertools.count(), stalls, threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Camera

    def do_GET(self) -> None:
        next(self.server.connections)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(PER_CONNECTION):
            body = picture(10 * number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + body + b"\r\n")
            except OSError:
                return
            self.server.over.wait(0.005)
        if self.server.stalls:
            self.server.over.wait(20)

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def running(*, stalls: bool = False) -> Iterator[tuple[Camera, str]]:
    server = Camera(stalls=stalls)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server, f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(camera, "LAST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(capture, "TIMEOUT_MS", 500)


def frames(work: Path, address: str, *, enough: int) -> list[Frame]:
    source = sources.open(parse({"source": f"stream:{address}", "frames_per_second": 240}), work, SystemClock())
    stop, found, until = threading.Event(), [], time.monotonic() + 120
    try:
        while len(found) < enough and time.monotonic() < until:
            frame = source.next(stop)
            if frame:
                found.append(frame)
    finally:
        source.close()
    return found


def test_a_dropped_connection_is_made_again(tmp_path: Path) -> None:
    with running() as (server, address):
        found = frames(tmp_path, f"http://{address}/live", enough=3 * PER_CONNECTION)
        assert len(found) == 3 * PER_CONNECTION
        assert next(server.connections) >= 3
    assert all(frame.pixels is not None and frame.pixels.shape == (48, 64, 3) for frame in found)


def test_a_stream_that_stalls_is_given_up_by_its_timeout(tmp_path: Path) -> None:
    with running(stalls=True) as (server, address):
        found = frames(tmp_path, f"http://{address}/live", enough=2 * PER_CONNECTION)
        assert len(found) == 2 * PER_CONNECTION
        assert next(server.connections) >= 2


def test_the_log_says_who_was_lost_and_no_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running() as (_, address):
        (tmp_path / "camera.txt").write_text(f"http://reef:secret@{address}/live\n")
        assert frames(tmp_path, "@camera.txt", enough=PER_CONNECTION + 1)
    assert "no frames from @camera.txt" in caplog.text
    assert "secret" not in caplog.text
