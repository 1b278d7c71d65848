"""A video file, played once."""

import logging
import threading
from pathlib import Path
from typing import Final

from classifier.clock import Clock
from classifier.frames import Frame, Unreadable
from classifier.pipeline.memory import recalled, remember
from classifier.sources.address import Address
from classifier.sources.capture import Connection, Opener, opencv

log = logging.getLogger(__name__)

# cv2.CAP_PROP_*, named here since OpenCV is imported only to open something.
POS_MSEC: Final = 0
FPS: Final = 5
FRAME_COUNT: Final = 7
MISSING_IN_A_ROW: Final = 250
"""A file that fails so often claims more frames than it has."""
GAP_SECONDS: Final = 60.0
"""Between two frames; a time that is further away is damaged."""
STEP_FRAMES: Final = 250
"""At most so many are skipped in one call."""
KEEP_SECONDS: Final = 5.0
"""So much of the film, and what the queues held, comes again after a power cut."""


class Video:
    """A file at its own speed, or slower where the device is: no frame is dropped. How many frames of which film were
    dealt with is remembered in `mark`, so that a restart goes on from there; without a mark it is a replay, which does
    not wait. What was played is passed over frame by frame: a seek lands anywhere in a file whose times are damaged.

    What the file counts and FFmpeg does not deliver is unreadable, frame by frame.
    """

    live = False

    def __init__(
        self,
        address: Address,
        *,
        clock: Clock,
        frames_per_second: float,
        mark: Path | None,
        opener: Opener = opencv,
    ) -> None:
        self._address, self._clock, self._opener, self._mark = address, clock, opener, mark
        self._period = 1 / frames_per_second
        self._connection: Connection | None = None
        self._begun = 0.0
        self._due = 0.0
        """Position in the video of the next frame that is wanted, in seconds."""
        self._position = 0.0
        self._grabbed, self._missing, self._missing_in_a_row = 0, 0, 0
        self._ready: Frame | None = None
        self._lock = threading.Lock()
        self._handed: dict[str, int] = {}
        """Frames on their way, by name, and how many frames of the file had passed with each."""
        self._dealt, self._played, self._keep_at = 0, 0, clock.elapsed() + KEEP_SECONDS
        """Frames that had passed with the last one dealt with, and with that of an earlier life."""
        self._identity, self._ended = self._identified(), False
        self.exhausted = self._kept()[0]

    def next(self, stop: threading.Event) -> Frame | None:
        if self._ready is None:
            self._ready = self._wanted(stop)
        if self._ready is None or not self._is_time(self._ready, stop):
            return None
        frame, self._ready = self._ready, None
        with self._lock:
            self._handed[frame.name] = self._passed
        return frame

    def finish(self, frame: Frame) -> None:
        """It stays in the file."""
        with self._lock:
            self._dealt = max(self._dealt, self._handed.pop(frame.name, 0))
        if self.exhausted or self._clock.elapsed() >= self._keep_at:
            self._keep()

    def set_aside(self, frame: Frame, reason: str) -> bool:
        log.warning("%s is no usable frame: %s", frame.name, reason)
        self.finish(frame)
        return True

    def close(self) -> None:
        self.exhausted = True
        if self._connection is not None:
            self._connection.close()
        self._keep()

    @property
    def _passed(self) -> int:
        """Frames of the file so far, whether they could be decoded or not."""
        return self._grabbed + self._missing

    def _wanted(self, stop: threading.Event) -> Frame | None:
        """
        Raises:
            Unreadable: the next frame cannot be decoded, or the file cannot be opened at all.
        """
        for _ in range(STEP_FRAMES):
            if self.exhausted or stop.is_set():
                return None
            connection = self._open()
            if not connection.grab():
                self._failed(connection)
                return None
            self._missing_in_a_row = 0
            position = self._position = self._follow(connection)
            self._grabbed += 1
            if wanted := position >= self._due:
                self._due = max(self._due + self._period, position - self._period)
            if self._passed <= self._played:
                self._begun = self._clock.elapsed() - position
            elif wanted:
                name = f"{Path(self._address.shown).name}-{1000 * position:08.0f}"
                return Frame(name, self._begun + position, pixels=connection.retrieve())
        return None

    def _follow(self, connection: Connection) -> float:
        """The position of the grabbed frame in seconds, mended where the file's times are damaged."""
        position = connection.get(POS_MSEC) / 1000
        if self._grabbed and not 0 < position - self._position <= GAP_SECONDS:
            position = self._position + 1 / (connection.get(FPS) or 25.0)
        return position

    def _is_time(self, frame: Frame, stop: threading.Event) -> bool:
        if self._mark is None:
            return True
        rest = frame.taken - self._clock.elapsed()
        if rest > 0:
            stop.wait(min(rest, 1.0))
        else:
            self._begun -= rest  # late: the rest of the video comes later by as much
        return frame.taken <= self._clock.elapsed()

    def _open(self) -> Connection:
        if self._connection is None:
            self._identity = self._identified()
            self._played = self._kept()[1]  # only now: frames of the source before may have been under way
            try:
                path = self._address.path()
                if not path.is_file():
                    raise Unreadable("there is no such file")
                self._connection = Connection.open(lambda _: self._opener(str(path)), self._address)
            except Unreadable as error:
                self._end()
                raise Unreadable(f"{self._address.shown}: {error}") from None
            self._begun = self._clock.elapsed()
        return self._connection

    def _failed(self, connection: Connection) -> None:
        """No next frame: one that is damaged, or the end.

        Raises:
            Unreadable: the file counts a frame here.
        """
        if self.exhausted:
            return
        count = connection.get(FRAME_COUNT)
        if self._passed < count and self._missing_in_a_row < MISSING_IN_A_ROW:
            self._missing += 1
            self._missing_in_a_row += 1
            if self._passed <= self._played:
                return
            raise Unreadable(f"frame {self._passed} of {count:.0f} cannot be decoded")
        self._end()

    def _end(self) -> None:
        log.info("%s has come to its end: %d frames, %d missing", self._address.shown, self._grabbed, self._missing)
        if self._connection is not None:
            self._connection.close()
        self._ended = self.exhausted = True
        self._keep()

    def _keep(self) -> None:
        """Remember how far it was played. Never less than is known: a thread that was given up may come back late."""
        self._keep_at = self._clock.elapsed() + KEEP_SECONDS
        with self._lock:
            played = self._ended and not self._handed, self._dealt
            if self._mark is not None and played > self._kept():
                remember(self._mark, {"video": self._identity, "ended": played[0], "frames": played[1]})

    def _kept(self) -> tuple[bool, int]:
        """Whether the film was played to its end, and how many of its frames."""
        document = recalled(self._mark) if self._mark is not None else None
        if document is None or document.get("video") != self._identity:
            return False, 0
        frames = document.get("frames")
        return document.get("ended") is True, frames if isinstance(frames, int) else 0

    def _identified(self) -> list[object]:
        """What tells a video from another one under the same name."""
        try:
            path = self._address.path()
            status = path.stat()
        except (OSError, Unreadable):
            return [self._address.shown]
        return [str(path), status.st_size, status.st_mtime_ns]
