"""Sends what the spool holds to the cloud over MQTT, until the cloud says that it has it."""

import logging
import math
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from classifier.budget import Budget
from classifier.clock import Clock
from classifier.messages import Ack, Malformed, Record, fit, unpack_ack
from classifier.spool import Spool, Stream
from classifier.uplink.backoff import Backoff
from classifier.uplink.nucleus import NotSent, Nucleus, Subscription, Unavailable
from classifier.uplink.window import Window

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 5.0
LONGEST_BUDGET_WAIT_SECONDS: Final = 60.0
"""The budget may be raised meanwhile."""
FIRST_RETRY_SECONDS: Final = 0.5
LAST_RETRY_SECONDS: Final = 15.0
"""Nucleus lite says at once that there is no link: to ask it so often costs nothing but that."""

_WAITING_ACKS: Final = 1000

# What a metered link counts, in bytes. TCP/IP headers with time stamps, one segment for each 1,400 bytes; a TLS 1.2
# record with AES-GCM; an MQTT PUBLISH with QoS 1, its topic and packet identifier:
# https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html
_SEGMENT: Final = 1400
_TCP_IP: Final = 52
_TLS: Final = 29
_PUBLISH: Final = 7
# What comes back counts as well: PUBACK, the cloud's acknowledgement on its topic, the PUBACK to that and TCP's own.
_ANSWER: Final = 512


def cost(topic: str, payload: bytes) -> int:
    """Bytes on the link, both ways, for one message and its acknowledgement. Rounded up where it depends."""
    size = _PUBLISH + len(topic.encode()) + len(payload) + _TLS
    return size + math.ceil(size / _SEGMENT) * _TCP_IP + _ANSWER


@dataclass
class Sent:
    """What this process handed to the nucleus."""

    batches: int = 0
    again: int = 0
    """Of these, those that had been handed over before."""
    bytes: int = 0


class Sender:
    """A step of its stage: everything that may leave now leaves in order of priority, in each stream oldest first.

    A record leaves the spool by an acknowledgement alone. Without a subscription to those nothing is sent but alerts,
    once. Only an alert that is new does not wait for the end of the pause that follows a refusal of the nucleus.
    """

    def __init__(
        self,
        nucleus: Nucleus,
        spool: Spool,
        budget: Budget,
        clock: Clock,
        thing: str,
        *,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` is called, in another thread, when there is something to do before a step's pause is over."""
        self.sent, self.garbage = Sent(), 0
        self.trouble = ""
        """Why nothing leaves; empty while it does."""
        self._nucleus, self._spool, self._budget, self._clock = nucleus, spool, budget, clock
        self._thing, self._wake = thing, wake
        self._acks: queue.Queue[bytes] = queue.Queue(_WAITING_ACKS)
        self._subscription: Subscription | None = None
        self._subscribing, self._refused = (Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS) for _ in range(2))
        self._window = Window()
        self._poor_until: dict[str, float] = {}
        """When the budget is asked again, by kind."""

    def step(self) -> float:
        """Send what may leave now; returns the seconds until there may be more, a few at most."""
        now = self._clock.elapsed()
        self._budget.follow()
        self._listen(now)
        self._hear(now)
        self._window.expire(now)
        waits = [LONGEST_PAUSE_SECONDS, self._send(now), self._window.wait(now)]
        if self._window.silent and self._listening:
            self._say("what was sent is not acknowledged")
        waits += [each for each in (self._subscribing.wait(now), self._refused.wait(now)) if each]
        return max(0.01, min(waits))

    def close(self) -> None:
        """Hear no more acknowledgements."""
        if self._subscription is not None:
            self._subscription.close()

    # ---- Acknowledgements --------------------------------------------------------------------------------------------

    @property
    def _listening(self) -> bool:
        return self._subscription is not None and self._subscription.alive

    def _listen(self, now: float) -> None:
        """Be subscribed to acknowledgements. Those that came meanwhile are lost, so all that waits is sent again."""
        if self._listening or self._subscribing.wait(now):
            return
        try:
            self._subscription = self._nucleus.subscribe(f"reefloop/{self._thing}/ack", self._receive)
        except Unavailable as error:
            self._say(f"acknowledgements cannot be subscribed to: {error}")
            self._subscribing.failed(now)
            return
        self.trouble = ""
        self._subscribing.succeeded()
        self._refused.succeeded()
        self._window.begin_anew()

    def _receive(self, _topic: str, payload: bytes) -> None:
        try:
            self._acks.put_nowait(payload)
        except queue.Full:  # the next one says as much
            return
        self._wake()

    def _hear(self, now: float) -> None:
        while not self._acks.empty():
            try:
                ack = unpack_ack(self._acks.get_nowait())
            except Malformed as error:
                self.garbage += 1
                log.warning("an acknowledgement is not understood: %s", error)
                continue
            if believed := self._window.heard(ack, now):
                self._delete(believed)

    def _delete(self, ack: Ack) -> None:
        self.trouble = ""
        if self._spool.acknowledge(ack):
            self._window.of(Stream(ack.boot, ack.kind)).pause.succeeded()

    # ---- Records -----------------------------------------------------------------------------------------------------

    def _send(self, now: float) -> float:
        """Send until nothing more may leave; returns the seconds until the budget lets more out."""
        # What waits for the budget is not packed every second to find that out again.
        waits = {"": math.inf} | {kind: until - now for kind, until in self._poor_until.items() if until > now}
        for stream in self._window.order(self._spool.streams()):
            try:
                while stream.kind not in waits and (records := self._due(stream, now)):
                    if wait := self._publish(stream, records, now):
                        waits[stream.kind] = wait
                        self._poor_until[stream.kind] = now + min(wait, LONGEST_BUDGET_WAIT_SECONDS)
            except NotSent as error:
                self._say(f"the nucleus takes no messages: {error}")
                break
            except Malformed as error:  # evicted between two looks at the spool, or not as it was written
                self._window.of(stream).pause.failed(now)
                log.warning("%s of %s cannot be packed: %s", stream.kind, stream.boot, error)
        return min(waits.values())

    def _due(self, stream: Stream, now: float) -> list[Record]:
        """The records of a stream that may leave now, of which as many go as fit."""
        progress, room = self._window.of(stream), self._window.room(stream.kind)
        again = self._window.room_again(stream, now) and self._listening
        if not (room or again):
            return []
        new_alert = stream.kind == "alert" and self._spool.records(stream, after=progress.tried, limit=1)
        if not new_alert and (self._refused.wait(now) or not self._listening):
            return []
        records = self._spool.records(stream, after=progress.cursor) if again else []
        if records and (records[0].seq <= progress.published or not room):
            return records[:1] if self._window.silent else records
        return self._spool.records(stream, after=max(progress.cursor, progress.published)) if room else []

    def _publish(self, stream: Stream, records: list[Record], now: float) -> float:
        """Hand over one batch; returns the seconds that the budget asks it to wait.

        Raises:
            NotSent: the nucleus did not take it: nothing that it had before is on its way any more, for all one knows.
            Malformed: the records cannot be packed.
        """
        topic = f"reefloop/{self._thing}/{stream.kind}"
        base = min(self._spool.base(stream), records[0].seq)
        payload, count = fit(self._thing, stream.boot, stream.kind, base, records)
        first, last, size = records[0].seq, records[count - 1].seq, cost(topic, payload)
        if not self._budget.spend(stream.kind, size):
            return self._budget.wait(stream.kind, size)
        progress = self._window.of(stream)
        again, progress.tried = first <= progress.published, max(progress.tried, last)
        try:
            self._nucleus.publish(topic, payload)
        except NotSent as error:
            if error.certain:
                self._budget.refund(size)
            else:
                self._window.may_have_left(stream, last)
            self._window.begin_anew()
            self._refused.failed(now)
            progress.tried = max([last, *(each.seq for each in self._spool.records(stream, after=progress.tried))])
            raise
        self._window.sent(stream, first, last, now)
        self._refused.succeeded()
        self._subscribing.skip()  # there is a link
        self.sent = Sent(self.sent.batches + 1, self.sent.again + again, self.sent.bytes + size)
        return 0.0

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
