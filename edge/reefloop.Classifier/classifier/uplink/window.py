"""What of each stream was sent, what of that is on its way, and when it is sent again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from classifier.messages import Ack
from classifier.spool import Stream
from classifier.uplink.backoff import Backoff, RoundTrip

IN_FLIGHT: Final = {"alert": 3, "health": 2, "summary": 2}
"""A batch of a kind may leave while fewer than so many of any kind wait for their acknowledgement: an alert finds room
whatever else is under way. Three of the largest fit the 15,000 bytes that nucleus lite keeps until the broker has
them."""
PATIENCE: Final = 8
"""Batches that may stay unanswered before only probes are sent."""
FIRST_PAUSE_SECONDS: Final = 2.0
LAST_PAUSE_SECONDS: Final = 900.0


def _pause() -> Backoff:
    return Backoff(FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS)


@dataclass
class Progress:
    """Of one stream, in this process."""

    cursor: int = 0
    """The last number that was sent since the stream was begun anew."""
    published: int = 0
    """The highest number that was handed to the nucleus, or may have been."""
    tried: int = 0
    """The highest number that the nucleus was offered."""
    timed: tuple[int, float] | None = None
    """The last number of a batch that was sent once, and when that was."""
    probes: int = 0
    """Since the last acknowledgement of any stream."""
    pause: Backoff = field(default_factory=_pause)
    """Grows while this stream is not acknowledged. The end of silence grants every stream one try."""


@dataclass(frozen=True)
class InFlight:
    """A batch on its way. Times are the clock's `elapsed`."""

    stream: Stream
    last: int
    again: bool
    sent_at: float
    expires: float


class Window:
    """Go-back-N for every stream: a batch that is not acknowledged in time is sent again with all that followed it.

    While nothing at all is acknowledged, what was sent before is sent again only as probes: one record at a time, of
    each stream in turn, after pauses that grow. So is what is new, once a few batches are unanswered: a classic nucleus
    keeps whatever it is given during days without a link, and sends all of it afterwards.
    """

    def __init__(self) -> None:
        self.silent = 0
        """How many batches were sent and expired since the last acknowledgement, without their repetitions; at least
        one if anything did."""
        self._progress: dict[Stream, Progress] = {}
        self._in_flight: list[InFlight] = []
        self._heard_at = float("-inf")
        self._silence, self._trip = _pause(), RoundTrip()
        self._random = random.Random()  # noqa: S311 - spreads, and guards nothing

    def of(self, stream: Stream) -> Progress:
        """How far a stream is."""
        if stream not in self._progress:
            self._progress[stream] = Progress()
        return self._progress[stream]

    def order(self, streams: Sequence[Stream]) -> list[Stream]:
        """Which stream goes first. In silence all are probed in turn: one may be what the cloud does not answer to."""
        self._progress = {stream: self.of(stream) for stream in streams}
        self._in_flight = [each for each in self._in_flight if each.stream in self._progress]
        return sorted(streams, key=lambda stream: self.of(stream).probes) if self.silent else list(streams)

    def room(self, kind: str) -> bool:
        """Whether a batch that was not sent before may leave now, and be no probe."""
        return len(self._in_flight) < IN_FLIGHT[kind] and self.silent + len(self._in_flight) < PATIENCE

    def room_again(self, stream: Stream, now: float) -> bool:
        """Whether a batch that was sent before, or a probe, may leave now."""
        if self.silent and (self._in_flight or self._silence.wait(now)):
            return False
        return len(self._in_flight) < IN_FLIGHT[stream.kind] and not self.of(stream).pause.wait(now)

    def sent(self, stream: Stream, first: int, last: int, now: float) -> None:
        """The nucleus took a batch."""
        progress = self.of(stream)
        progress.probes += bool(self.silent)
        again = first <= progress.published
        # Which of several sendings is acknowledged cannot be told: Karn's algorithm, RFC 6298, section 3.
        progress.timed = None if again else progress.timed or (last, now)
        self.may_have_left(stream, last)
        progress.cursor = max(progress.cursor, last)
        expires = now + self._trip.timeout * self._random.uniform(1.0, 1.25)
        self._in_flight.append(InFlight(stream, last, again, now, expires))

    def may_have_left(self, stream: Stream, last: int) -> None:
        """From now on an acknowledgement of these records is believed."""
        progress = self.of(stream)
        progress.published = max(progress.published, last)

    def heard(self, ack: Ack, now: float) -> Ack | None:
        """What is to be believed of an acknowledgement: none of what this process did not publish."""
        stream = Stream(ack.boot, ack.kind)
        progress = self._progress.get(stream)
        if progress is None:
            return None
        through = min(ack.through, progress.published)
        self._in_flight = [each for each in self._in_flight if each.stream != stream or each.last > through]
        if progress.timed and progress.timed[0] <= through:
            self._trip.measured(now - progress.timed[1])
            progress.timed = None
        for each in self._progress.values() if self.silent else ():
            each.probes = 0
            each.pause.skip()
        self._heard_at, self.silent = now, 0
        self._silence.succeeded()
        return Ack(ack.boot, ack.kind, through) if through else None

    def expire(self, now: float) -> None:
        """Wait no longer for what was not acknowledged in time."""
        for stream in {each.stream for each in self._in_flight if each.expires <= now}:
            progress = self.of(stream)
            lost = [each for each in self._in_flight if each.stream == stream]
            self._in_flight = [each for each in self._in_flight if each.stream != stream]
            if progress.timed:
                self._trip.missed()
            progress.cursor, progress.timed = 0, None
            progress.pause.failed(now)
            if lost[0].sent_at > self._heard_at:
                self.silent = max(1, self.silent + sum(not each.again for each in lost))
                self._silence.failed(now)

    def begin_anew(self) -> None:
        """The nucleus was disconnected, or is another: nothing is on its way, and everything may be sent at once."""
        self._in_flight, self.silent = [], 0
        self._silence.succeeded()
        for progress in self._progress.values():
            progress.cursor, progress.timed = 0, None
            progress.pause.succeeded()

    def wait(self, now: float) -> float:
        """Seconds until a batch expires or a pause ends; infinite when neither will. What is over now is no reason to
        look again."""
        pauses = [self._silence.wait(now), *(each.pause.wait(now) for each in self._progress.values())]
        times = [*pauses, *(each.expires - now for each in self._in_flight)]
        return min((each for each in times if each > 0), default=float("inf"))
