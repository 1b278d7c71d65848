"""What every source of frames can do."""

import threading
from typing import Protocol

from classifier.frames import Frame


class Source(Protocol):
    """Hands on one frame after another. One thread calls `next`; any other may call the rest.

    A thread that hangs in `next` may be given up at any moment: `close` returns at once, and whoever comes back later
    lets go of the device.
    """

    @property
    def live(self) -> bool:
        """Whether frames that nobody takes are lost: then the newest are worth most. Others wait where they are."""

    @property
    def exhausted(self) -> bool:
        """Whether no frame will ever come again: a recording came to its end."""

    def next(self, stop: threading.Event) -> Frame | None:
        """The next frame; None when there is none yet, after a second or as soon as `stop` is set.

        Raises:
            Unreadable: something came that is no frame. It is dealt with, only to be counted; the next call goes on.
        """

    def finish(self, frame: Frame) -> None:
        """The frame is dealt with and never comes again."""

    def set_aside(self, frame: Frame, reason: str) -> bool:
        """What `next` gave is no usable frame. False: it may still be being written and comes again, so it does not
        count."""

    def close(self) -> None:
        """No frame is wanted any more."""
