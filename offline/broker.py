"""The account's MQTT broker, in process: what devices, the rules engine and the iot-data API publish through.

https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html
Sessions do not persist and messages are not retained: who is not there when a message comes never gets it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from offline.state import State
from offline.topics import Rejected, check_filter, check_topic, matches

__all__ = ["PAYLOAD_BYTES", "Broker", "Link", "Published", "Receive", "Rejected", "Subscription", "matches"]

_log = logging.getLogger(__name__)

Receive = Callable[[str, bytes], None]
"""Gets topic and payload, in the thread of whoever published: it must not block for long."""

PAYLOAD_BYTES: Final = 128 * 1024  # https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits


@dataclass(frozen=True)
class Published:
    """One message that the broker took."""

    topic: str
    payload: bytes
    qos: int
    client: str


class Subscription:
    """One client's subscription, until `close`."""

    def __init__(self, broker: "Broker", topic_filter: str, receive: Receive, client: str) -> None:
        self.topic_filter, self.receive, self.client = topic_filter, receive, client
        self._broker = broker

    def take(self, message: Published) -> None:
        """Receive one message."""
        self.receive(message.topic, message.payload)

    def close(self) -> None:
        """Receive no more. Does nothing the second time."""
        self._broker.forget(self)


class Broker:
    """The broker of one account: `state.only(Broker)`. Safe to use from any thread."""

    def __init__(self, state: State) -> None:  # noqa: ARG002 - made as every part of an account is
        self._subscriptions: list[Subscription] = []
        self._listeners: list[Callable[[Published], None]] = []
        self._changing = threading.Lock()
        self.copies = 1
        """How often each message of QoS 1 is handed on: MQTT promises at least once, and a test may ask for more."""

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, client: str = "") -> None:
        """Hand a message to every subscriber; when this returns, each of them had it.

        Args:
            qos: 0 or 1; here no message of either is lost between the broker and who is connected.
            client: who publishes; its own subscriptions get the message too, as MQTT 3.1.1 has it.

        Raises:
            Rejected: the topic, the payload or `qos` is nothing that the broker takes.
        """
        check_topic(topic)
        if qos not in (0, 1):
            raise Rejected(f"the quality of service is {qos}; AWS IoT Core has 0 and 1")
        if len(payload) > PAYLOAD_BYTES:
            raise Rejected(f"a payload for {topic} has {len(payload)} bytes; at most {PAYLOAD_BYTES} pass")
        message = Published(topic, bytes(payload), qos, client)
        with self._changing:
            listeners = list(self._listeners)
            subscriptions = [one for one in self._subscriptions if matches(one.topic_filter, topic)]
        for receive in [*listeners, *(one.take for one in subscriptions)] * (self.copies if qos else 1):
            _tell(receive, message)

    def subscribe(self, topic_filter: str, receive: Receive, *, client: str = "") -> Subscription:
        """Get every message whose topic matches from now on.

        Raises:
            Rejected: it is no topic filter.
        """
        check_filter(topic_filter)
        subscription = Subscription(self, topic_filter, receive, client)
        with self._changing:
            self._subscriptions.append(subscription)
        return subscription

    def listen(self, listener: Callable[[Published], None]) -> None:
        """Call this for every message before its subscribers get it, with who sent it: the rules engine asks so."""
        with self._changing:
            self._listeners.append(listener)

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription, if it is still there."""
        with self._changing:
            self._subscriptions = [one for one in self._subscriptions if one is not subscription]


class Link:
    """One device's connection to the broker, for a test to cut, to slow and to restore.

    What comes for the device while the link is down is lost to it; its subscriptions live on, as a nucleus makes them
    anew when it is connected again. Safe to use from any thread; `acknowledged` and `receive` are called in whichever
    thread publishes or releases, with no lock held.
    """

    def __init__(self, broker: Broker, client: str) -> None:
        self.client = client
        self.up = True
        self.permits: Callable[[str, str], bool] = lambda _, __: True
        """Whether an action ("iot:Publish") on a resource ("topic/a/b") is permitted; at first, everything is."""
        self._broker = broker
        self._watchers: list[Callable[[bool], None]] = []
        self._waiting: deque[tuple[Published, Callable[[], None] | None]] = deque()
        self._unanswered: deque[Callable[[], None]] = deque()
        self._stalled = self._mute = self._sending = False
        self._changing = threading.Lock()

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call this with True or False whenever the link comes up or goes down."""
        self._watchers.append(changed)

    def cut(self) -> None:
        """Take the link down. What was under way is gone: messages that no broker had, and acknowledgements."""
        with self._changing:
            changed, self.up = self.up, False
            self._waiting.clear()
            self._unanswered.clear()
        self._tell(changed)

    def restore(self) -> None:
        """Bring the link up again. What was held stays held."""
        with self._changing:
            changed, self.up = not self.up, True
        self._tell(changed)

    def hold_acknowledgements(self) -> None:
        """From now on the broker has every message and its sender does not hear so, until `release`."""
        with self._changing:
            self._mute = True

    def hold_messages(self) -> None:
        """From now on messages leave and do not arrive, as on a link of many seconds, until `release`."""
        with self._changing:
            self._stalled = True

    def release(self) -> None:
        """Let what was held arrive, in its order, and hold no more."""
        with self._changing:
            self._stalled = self._mute = False
            acknowledged, self._unanswered = self._unanswered, deque()
        for one in acknowledged:
            one()
        self._send()

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, acknowledged: Callable[[], None] | None = None
    ) -> None:
        """Send a message on its way.

        Args:
            acknowledged: called once the broker has a message of `qos` 1, if ever; never for one of `qos` 0.

        Raises:
            ConnectionError: the link is down; or the broker does not take such a message and broke the connection,
                which comes up again at once, as a nucleus connects anew, without what was under way.
        """
        try:
            check_topic(topic)
            if not self.permits("iot:Publish", f"topic/{topic}"):
                raise Rejected(f"no policy of its certificate permits iot:Publish on topic/{topic}")
            if qos not in (0, 1) or len(payload) > PAYLOAD_BYTES:
                raise Rejected(f"{len(payload)} bytes with quality of service {qos} for {topic} are not taken")
        except Rejected as error:
            self.cut()
            self.restore()
            raise ConnectionError(f"the broker disconnected {self.client}: {error}") from error
        with self._changing:
            self._demand_up("publish to", topic)
            self._waiting.append((Published(topic, bytes(payload), qos, self.client), acknowledged if qos else None))
        self._send()

    def subscribe(self, topic_filter: str, receive: Receive) -> Subscription:
        """Receive what matches, while the link is up.

        Raises:
            ConnectionError: the link is down, the filter is none, or the device may not have it.
        """

        def pass_on(topic: str, payload: bytes) -> None:
            if self.up and self.permits("iot:Receive", f"topic/{topic}"):
                receive(topic, payload)

        self._demand_up("subscribe to", topic_filter)
        if not self.permits("iot:Subscribe", f"topicfilter/{topic_filter}"):
            raise ConnectionError(f"no policy permits {self.client} iot:Subscribe on topicfilter/{topic_filter}")
        try:
            return self._broker.subscribe(topic_filter, pass_on, client=self.client)
        except Rejected as error:
            raise ConnectionError(f"the broker disconnected {self.client}: {error}") from error

    def _demand_up(self, what: str, topic: str) -> None:
        if not self.up:
            raise ConnectionError(f"{self.client} cannot {what} {topic}: its link is down")

    def _send(self) -> None:
        """Hand over what waits, by one thread at a time: the order of a client's messages is kept."""
        while True:
            with self._changing:
                if self._sending or self._stalled or not self._waiting:
                    return
                self._sending = True
                message, acknowledged = self._waiting.popleft()
            try:
                self._broker.publish(message.topic, message.payload, qos=message.qos, client=self.client)
            finally:
                with self._changing:
                    self._sending = False
                    now = acknowledged is not None and not self._mute and self.up
                    if acknowledged is not None and self._mute and self.up:
                        self._unanswered.append(acknowledged)
            if now and acknowledged is not None:
                acknowledged()

    def _tell(self, changed: bool) -> None:
        for watcher in list(self._watchers) if changed else []:
            watcher(self.up)


def _tell(receive: Callable[[Published], None], message: Published) -> None:
    try:
        receive(message)
    except Exception:
        _log.exception("a receiver of %s failed; the others get the message all the same", message.topic)
