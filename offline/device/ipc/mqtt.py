"""The MQTT clients of the two nuclei: what becomes of what a component publishes, and what reaches a component.

Neither keeps anything on disk: what is in here when the nucleus dies is gone.
"""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from offline.broker import PAYLOAD_BYTES, Link, Receive, Rejected, Subscription
from offline.topics import check_topic

# https://github.com/aws-greengrass/aws-greengrass-lite/blob/main/modules/iotcored/src/mqtt.c
LITE_STORE_BYTES: Final = 15_000
LITE_STORE_MESSAGES: Final = 10
LITE_PACKET_BYTES: Final = 5_000

# https://docs.aws.amazon.com/greengrass/v2/developerguide/greengrass-nucleus-component.html: mqtt.spooler, mqtt
CLASSIC_SPOOL_BYTES: Final = 2_621_440
CLASSIC_IN_FLIGHT: Final = 5


class NotTaken(Exception):
    """The nucleus did not take a message or a subscription; nothing of it will arrive."""


class Client(ABC):
    """How a nucleus publishes and subscribes over the link of its device. Safe to use from any thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._dead = False
        self._changing = threading.Lock()
        self._subscriptions: list[Subscription] = []

    @abstractmethod
    def publish(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Take a message; it need not have arrived anywhere when this returns.

        Raises:
            NotTaken: saying why.
        """

    @abstractmethod
    def linked(self, up: bool) -> None:
        """The link came up or went down."""

    @abstractmethod
    def takes(self, topic: str, payload: bytes) -> bool:
        """Whether a message of the broker reaches the components."""

    def subscribe(self, topic_filter: str, receive: Receive) -> Callable[[], None]:
        """Receive what matches until the answer is called, across the link's ups and downs.

        Raises:
            NotTaken: the link is down, or the filter is none.
        """

        def pass_on(topic: str, payload: bytes) -> None:
            if not self._dead and self.takes(topic, payload):
                receive(topic, payload)

        try:
            subscription = self._link.subscribe(topic_filter, pass_on)
        except ConnectionError as error:
            raise NotTaken(str(error)) from error
        with self._changing:
            self._subscriptions.append(subscription)
        return subscription.close

    def die(self) -> None:
        """Lose everything that is not with the broker."""
        with self._changing:
            self._dead = True
            subscriptions, self._subscriptions = self._subscriptions, []
        for one in subscriptions:
            one.close()


class LiteClient(Client):
    """Nucleus lite's: no queue, and a small store of messages of QoS 1 that the broker has not acknowledged.

    Sessions do not persist (`cleanSession`): what the store holds when the connection breaks is never sent again.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._unacknowledged: dict[object, int] = {}

    def publish(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Take a message while the link is up and the store has room."""
        if not self._link.up:
            raise NotTaken("Failed to publish the message.")
        handle, size = object(), packet_bytes(topic, payload, qos=qos)
        if qos:
            with self._changing:
                full = sum(self._unacknowledged.values()) + size > LITE_STORE_BYTES
                if full or len(self._unacknowledged) >= LITE_STORE_MESSAGES:
                    raise NotTaken("Failed to publish the message.")
                self._unacknowledged[handle] = size
        try:
            self._link.publish(topic, payload, qos=qos, acknowledged=lambda: self._acknowledged(handle))
        except ConnectionError as error:
            self._acknowledged(handle)
            # A wildcard in the topic makes the broker disconnect the nucleus, which had said yes to the component.
            if not isinstance(error.__cause__, Rejected):
                raise NotTaken("Failed to publish the message.") from error

    def linked(self, up: bool) -> None:  # noqa: ARG002 - what the other nucleus does differs
        """Forget the store: it does not outlive a connection."""
        with self._changing:
            self._unacknowledged.clear()

    def takes(self, topic: str, payload: bytes) -> bool:
        """Drops what is too long for its buffer, and nobody hears of it."""
        return packet_bytes(topic, payload, qos=1) <= LITE_PACKET_BYTES

    def _acknowledged(self, handle: object) -> None:
        with self._changing:
            self._unacknowledged.pop(handle, None)


class _Spooled(NamedTuple):
    topic: str
    payload: bytes
    qos: int


class ClassicClient(Client):
    """The classic nucleus's: a spooler in memory that holds messages while the link is down."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._queue: deque[_Spooled] = deque()
        self._in_flight: dict[object, _Spooled] = {}
        self._sending = False

    @property
    def spooled_bytes(self) -> int:
        """How many bytes of payload the spooler holds."""
        with self._changing:
            return self._bytes()

    def publish(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Take a message if the spooler has room; one of QoS 0 only while the link is up, as is the default."""
        try:
            check_topic(topic)  # as the nucleus does: sent to the broker, it would be refused again and again
        except Rejected as error:
            raise NotTaken(str(error)) from error
        if len(payload) > PAYLOAD_BYTES:
            raise NotTaken(f"The publishing message size {len(payload)} bytes exceeds the limit of {PAYLOAD_BYTES}.")
        if qos == 0 and not self._link.up:
            raise NotTaken("Device is offline. Dropping QoS 0 message.")
        with self._changing:
            if self._bytes() + len(payload) > CLASSIC_SPOOL_BYTES:
                raise NotTaken("Message spool is full. Message could not be added.")
            self._queue.append(_Spooled(topic, payload, qos))
        self._send()

    def linked(self, up: bool) -> None:
        """Send again what was not acknowledged, and then what waited."""
        with self._changing:
            self._queue.extendleft(reversed(self._in_flight.values()))
            self._in_flight.clear()
            if not up:
                self._queue = deque(each for each in self._queue if each.qos)
        self._send()

    def takes(self, topic: str, payload: bytes) -> bool:  # noqa: ARG002 - what the other nucleus does differs
        """Every message."""
        return True

    def die(self) -> None:
        """Lose everything that is not with the broker."""
        super().die()
        with self._changing:
            self._queue.clear()
            self._in_flight.clear()

    def _send(self) -> None:
        """Publish from the front of the queue, by one thread at a time, while the link lets it."""
        while True:
            with self._changing:
                ready = self._queue and self._link.up and len(self._in_flight) < CLASSIC_IN_FLIGHT
                if self._sending or self._dead or not ready:
                    return
                self._sending = True
                message, handle = self._queue.popleft(), object()
                if message.qos:
                    self._in_flight[handle] = message
            try:
                self._link.publish(
                    message.topic,
                    message.payload,
                    qos=message.qos,
                    acknowledged=lambda handle=handle: self._acknowledged(handle),  # type: ignore[misc]
                )
            except ConnectionError as error:
                # The link went down since, and `linked` put the message back: for good, unless the broker refuses it.
                if isinstance(error.__cause__, Rejected):
                    with self._changing:
                        self._queue = deque(each for each in self._queue if each is not message)
            finally:
                with self._changing:
                    self._sending = False

    def _acknowledged(self, handle: object) -> None:
        with self._changing:
            self._in_flight.pop(handle, None)
        self._send()

    def _bytes(self) -> int:
        return sum(len(each.payload) for each in (*self._queue, *self._in_flight.values()))


def packet_bytes(topic: str, payload: bytes, *, qos: int) -> int:
    """The length of an MQTT PUBLISH packet."""
    rest = 2 + len(topic.encode()) + (2 if qos else 0) + len(payload)
    return 1 + (1 if rest < 128 else 2 if rest < 16_384 else 3) + rest
