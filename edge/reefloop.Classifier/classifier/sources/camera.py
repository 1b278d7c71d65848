"""Live cameras: a picture now and then, or a stream of which some frames are taken. Both come back by themselves."""

import logging
import random
import threading
from typing import Final

from classifier.clock import Clock
from classifier.frames import Frame, Unreadable
from classifier.sources.address import Address
from classifier.sources.capture import Connection, Opener, opencv

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 30.0
"""A camera that has delivered for so long is asked again soon; one that drops every connection is not."""
STEP_SECONDS: Final = 0.5
WARM_UP_FRAMES: Final = 5
"""Of a device, thrown away: the exposure of the first ones is not set yet."""


class Camera:
    """A connection that is made anew when it breaks, after pauses that double, with jitter so that the cameras of a
    whole mooring do not ask at the same moment."""

    live = True
    exhausted = False

    def __init__(self, address: Address, *, clock: Clock, opener: Opener = opencv) -> None:
        self._address, self._clock, self._opener = address, clock, opener
        self._connection: Connection | None = None
        self._closed = False
        self._connected_at = 0.0
        self._pause_seconds, self._again_at = FIRST_PAUSE_SECONDS, clock.elapsed()
        self._trouble = ""

    def finish(self, frame: Frame) -> None:
        """Nothing is kept of it."""

    def set_aside(self, frame: Frame, reason: str) -> bool:
        log.warning("%s of %s is no usable frame: %s", frame.name, self._address.shown, reason)
        return True

    def close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def _connect(self, stop: threading.Event) -> Connection | None:
        """The open connection; None while there is none."""
        if self._closed:
            return None
        if self._connection is not None:
            return self._connection
        rest = self._again_at - self._clock.elapsed()
        if rest > 0:
            stop.wait(min(rest, 1.0))
            return None
        try:
            self._connection = connection = Connection.open(self._opener, self._address)
        except Unreadable as error:
            self._lost(str(error))
            return None
        self._connected_at = self._clock.elapsed()
        if self._closed:  # given up while it was opening
            connection.close()
            return None
        return connection

    def _delivered(self) -> None:
        if self._trouble:
            log.info("%s delivers again", self._address.shown)
            self._trouble = ""

    def _lost(self, trouble: str) -> None:
        """Close, and wait before the next attempt."""
        now = self._clock.elapsed()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            if now - self._connected_at >= STEADY_SECONDS:
                self._pause_seconds = FIRST_PAUSE_SECONDS
        if trouble != self._trouble and not self._closed:
            log.warning("no frames from %s: %s", self._address.shown, trouble)
            self._trouble = trouble
        self._again_at = now + self._pause_seconds * random.uniform(0.5, 1.0)  # noqa: S311  no secret
        self._pause_seconds = min(2 * self._pause_seconds, LAST_PAUSE_SECONDS)

    def _frame(self, connection: Connection) -> Frame:
        """
        Raises:
            Unreadable: the grabbed frame cannot be decoded.
        """
        taken, wall = self._clock.elapsed(), self._clock.wall()
        return Frame(f"camera-{1000 * wall:.0f}", taken, pixels=connection.retrieve())


class Stream(Camera):
    """A camera that films: RTSP, HTTP or a V4L2 device. Every frame is fetched, since a frame that is not would be
    handed on late, but only so many a second are turned into pixels."""

    def __init__(self, address: Address, *, clock: Clock, frames_per_second: float, opener: Opener = opencv) -> None:
        super().__init__(address, clock=clock, opener=opener)
        self._period, self._due = 1 / frames_per_second, clock.elapsed()

    def next(self, stop: threading.Event) -> Frame | None:
        connection = self._connect(stop)
        until = self._clock.elapsed() + STEP_SECONDS
        while connection is not None and not stop.is_set() and self._clock.elapsed() < until:
            if not connection.grab():
                self._lost("the stream broke off")
                return None
            now = self._clock.elapsed()
            if now >= self._due:
                # Evenly, but without catching up on what was missed.
                self._due = max(self._due + self._period, now - self._period)
                frame = self._frame(connection)
                self._delivered()
                return frame
        return None


class Still(Camera):
    """A camera that is asked for a picture now and then. It is opened for each: one that stays open hands out frames
    that its driver has held since the last time."""

    def __init__(self, address: Address, *, clock: Clock, seconds: float, opener: Opener = opencv) -> None:
        super().__init__(address, clock=clock, opener=opener)
        self._seconds, self._due = seconds, clock.elapsed()

    def next(self, stop: threading.Event) -> Frame | None:
        rest = self._due - self._clock.elapsed()
        if rest > 0:
            stop.wait(min(rest, 1.0))
            return None
        connection = self._connect(stop)
        if connection is None:
            return None
        grabbed = connection.grab()
        if grabbed and not self._address.remote:
            grabbed = all(connection.grab() for _ in range(WARM_UP_FRAMES))
        if not grabbed:
            self._lost("it took no picture")
            return None
        self._due = max(self._due + self._seconds, self._clock.elapsed())
        self._pause_seconds = FIRST_PAUSE_SECONDS
        try:
            frame = self._frame(connection)
        finally:
            connection.close()
            self._connection = None
        self._delivered()
        return frame
