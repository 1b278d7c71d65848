"""A camera or video as OpenCV opens it, and what keeps a thread that hangs in it from harm."""

import importlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from classifier.frames import Pixels, Unreadable
from classifier.masking import masked
from classifier.sources.address import Address

log = logging.getLogger(__name__)

TIMEOUT_MS: Final = 5_000
"""For an answer of a camera on the network, to being opened and to every read. A name server that does not answer is
outside of it, and so is a driver that hangs: the watchdog sees to those."""

# Read by OpenCV when it is imported or opens something; whatever the operator has set stands.
_ENVIRONMENT: Final = {
    # RTSP over TCP: UDP packets that get lost are grey smears in frames that count as good ones.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp",
    # Both print addresses with the passwords in them.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_LOG_LEVEL": "SILENT",
    # The read that OpenCV itself gives up, in seconds: https://docs.opencv.org/4.x/d6/dea/tutorial_env_reference.html
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": str(TIMEOUT_MS // 1000),
}


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used."""

    def isOpened(self) -> bool: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def get(self, property_id: int) -> float: ...
    def release(self) -> None: ...


Result = TypeVar("Result")
Opener = Callable[[str], Capture]


def opencv(address: str) -> Capture:
    """Open a V4L2 device (a number or /dev/...) or what FFmpeg opens: a URL, a file. No other backend is tried.

    Raises:
        Unreadable: OpenCV is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        # Only now: folders of images need none of its 60 MB.
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise Unreadable(f"OpenCV is needed for this source and cannot be imported: {error}") from None
    if address.isdecimal():
        return cv2.VideoCapture(int(address), cv2.CAP_V4L2)  # type: ignore[no-any-return]
    if address.startswith("/dev/"):
        return cv2.VideoCapture(address, cv2.CAP_V4L2)  # type: ignore[no-any-return]
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)  # type: ignore[no-any-return]


class Connection:
    """One opened capture. To release it while another thread reads would crash the process, so the last one does it:
    `close` where nobody reads, else the read, when it comes back."""

    def __init__(self, capture: Capture) -> None:
        self._capture: Capture | None = capture
        self._lock, self._closing = threading.Lock(), False

    @classmethod
    def open(cls, opener: Opener, address: Address) -> "Connection":
        """
        Raises:
            Unreadable: it cannot be opened; the message holds no password.
        """
        try:
            connection = cls(opener(address.read()))
        except Unreadable:
            raise
        # cv2.error and whatever else a driver's failure is turned into.
        except Exception as error:
            raise Unreadable(masked(f"{type(error).__name__}: {error}")) from None
        if not connection._use(lambda capture: capture.isOpened(), False):
            connection.close()
            raise Unreadable("it cannot be opened")
        return connection

    def grab(self) -> bool:
        """Whether there is a next frame; it is not decoded into pixels yet."""
        return self._use(lambda capture: bool(capture.grab()), False)

    def retrieve(self) -> Pixels:
        """The grabbed frame, in RGB.

        Raises:
            Unreadable: it cannot be decoded, or is no picture of three colours.
        """
        ok, pixels = self._use(lambda capture: capture.retrieve(), (False, None))
        if not ok or pixels is None:
            raise Unreadable("the frame cannot be decoded")
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != "uint8" or not pixels.size:
            raise Unreadable(f"the frame is {pixels.dtype} {pixels.shape}; expected 8 bits of three colours")
        found: Pixels = pixels[:, :, ::-1].copy()  # OpenCV's order is blue, green, red
        return found

    def get(self, property_id: int) -> float:
        return self._use(lambda capture: capture.get(property_id), 0.0)

    def close(self) -> None:
        """Let go of the device, now or as soon as the read in progress comes back."""
        self._closing = True
        if self._lock.acquire(blocking=False):
            try:
                capture, self._capture = self._capture, None
                if capture is not None:
                    capture.release()
            finally:
                self._lock.release()

    def _use(self, use: Callable[[Capture], Result], otherwise: Result) -> Result:
        """What a use of the capture gives; `otherwise` once it is closed or when it fails."""
        with self._lock:
            try:
                result = use(self._capture) if self._capture is not None and not self._closing else otherwise
            except Exception as error:  # cv2.error has no base but this
                log.warning("the camera failed: %s", masked(f"{type(error).__name__}: {error}"))
                result = otherwise
        if self._closing:
            self.close()
            return otherwise
        return result
