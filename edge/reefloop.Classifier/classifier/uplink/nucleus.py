"""The nucleus, over Greengrass IPC. Every call ends in time; nothing here waits for the link.

https://docs.aws.amazon.com/greengrass/v2/developerguide/interprocess-communication.html
The nucleus keeps nothing on disk, so a message that it took has not arrived anywhere. Nucleus lite refuses every
message while the link is down, and its errors carry no text.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import awsiot.greengrasscoreipc as ipc
from awsiot.eventstreamrpc import EventStreamOperationError, LifecycleHandler
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2 as Client

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 5.0
PAYLOAD_BYTES: Final = 4_900
"""Nucleus lite drops a longer one that comes from the cloud without a word; the other way is kept to the same."""
LOCAL_BYTES: Final = 8_000
"""Of a message to other components. Lite ends the connection at a frame of 10,000 bytes, headers and all."""

QOS: Final = "1"


class Unavailable(Exception):
    """The nucleus did not do what it was asked, or did not say so in time; the message says why."""


class NotSent(Unavailable):
    """A message did not leave.

    `certain` is False when the nucleus did not say no: then it may have left all the same.
    """

    def __init__(self, reason: str, *, certain: bool) -> None:
        super().__init__(reason)
        self.certain = certain


class Subscription:
    """What comes on a topic, for as long as `alive`; after that it has to be made anew."""

    def __init__(self, connected: Callable[[], bool] = lambda: True) -> None:
        self._ended, self._connected = threading.Event(), connected
        self.operation: Any = None

    @property
    def alive(self) -> bool:
        return not self._ended.is_set() and self._connected()

    def close(self) -> None:
        """Receive no more. Does nothing the second time."""
        self.ended()
        if self.operation is not None:
            self.operation.close()

    def ended(self) -> None:
        """The nucleus closed the stream. Not always told when the connection is gone."""
        self._ended.set()

    def failed(self, error: Exception) -> bool:
        """An event that the SDK cannot read is no reason to receive no others."""
        log.warning("an event of the nucleus is not readable: %s", _reason(error))
        return False


class Nucleus:
    """One component's connection to the nucleus, tried at once. Safe to use from any thread.

    Without one, `lost` is set and every call raises Unavailable: the component works on and keeps what it has to say.
    The callbacks of subscriptions are called in one thread of the SDK: they hand over and wait for nothing.
    """

    def __init__(self, *, socket: str = "", token: str = "", timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """`socket` and `token` are those of the environment unless they are given."""
        self.lost = threading.Event()
        self._socket, self._token, self._timeout = socket, token, timeout_seconds
        self._lifecycle, self._client = _Lifecycle(self), None
        self._connecting = threading.Lock()
        self.connect()

    def connect(self) -> bool:
        """Be connected, if that is possible; says whether it is so.

        This mends a connection that broke. A nucleus that started anew knows the token no more: then only a new
        process helps, which gets a new one.
        """
        with self._connecting:
            if self._client is not None and not self.lost.is_set():
                return True
            self._close()
            self._lifecycle = lifecycle = _Lifecycle(self)
            try:
                connection = ipc.connect(
                    ipc_socket=self._socket or None,
                    authtoken=self._token or None,
                    lifecycle_handler=lifecycle,
                    timeout=self._timeout,
                )
            # No variables, no socket, no answer, a token that is none: each raises something else.
            except Exception as error:
                log.warning("the nucleus is not reached: %s", _reason(error))
                self.lost.set()
                return False
            # One thread, so that events come in order.
            self._client = Client(connection, executor=ThreadPoolExecutor(1, thread_name_prefix="nucleus"))
            self.lost.clear()
            if lifecycle.ended:  # meanwhile, and that word was cleared away
                self.lost.set()
            return not self.lost.is_set()

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message for the cloud to the nucleus, with QoS 1.

        Raises:
            NotSent: the nucleus did not take it, or did not say so.
            ValueError: no nucleus could take such a message.
        """
        # A wildcard makes the broker disconnect the whole device.
        if len(payload) > PAYLOAD_BYTES or any(sign in topic for sign in "+#"):
            raise ValueError(f"{len(payload)} bytes for {topic}: at most {PAYLOAD_BYTES}, to a topic without + and #")
        self._send(lambda client: client.publish_to_iot_core_async(topic_name=topic, qos=QOS, payload=payload))

    def publish_locally(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell the other components on this device, whatever the link does.

        Raises:
            NotSent: the nucleus did not take it, or did not say so.
            ValueError: it is too long for a nucleus.
        """
        if (size := len(json.dumps(message).encode())) > LOCAL_BYTES:
            raise ValueError(f"a message of {size} bytes for {topic} is too long; at most {LOCAL_BYTES} pass")
        content = model.PublishMessage(json_message=model.JsonMessage(message=dict(message)))
        self._send(lambda client: client.publish_to_topic_async(topic=topic, publish_message=content))

    def subscribe(self, topic_filter: str, callback: Callable[[str, bytes], None]) -> Subscription:
        """Call back with topic and payload of every message from the cloud. Lives on while the link comes and goes.

        Raises:
            Unavailable: the link is down, among others: then there is no subscription.
        """

        def receive(event: Any) -> None:
            message = event.message
            if message is not None and message.topic_name is not None:
                callback(message.topic_name, message.payload or b"")

        return self._subscribe(
            lambda client, handlers: client.subscribe_to_iot_core_async(
                topic_name=topic_filter, qos=QOS, on_stream_event=receive, **handlers
            )
        )

    def configuration(self) -> dict[str, Any]:
        """The component's own configuration as it is now.

        Raises:
            Unavailable: it cannot be asked for.
        """
        answer = self._ask(lambda client: client.get_configuration_async(key_path=[]))
        return dict(answer.value or {})

    def on_configuration(self, callback: Callable[[], None]) -> Subscription:
        """Call back after every change of the component's configuration, once for each changed value.

        Raises:
            Unavailable: changes cannot be told.
        """
        return self._subscribe(
            lambda client, handlers: client.subscribe_to_configuration_update_async(
                key_path=[], on_stream_event=lambda _: callback(), **handlers
            )
        )

    def close(self) -> None:
        """End the connection."""
        with self._connecting:
            self._close()
            self.lost.set()

    def disconnected(self, lifecycle: "_Lifecycle") -> None:
        """The SDK says that a connection has ended; that of an earlier one may come late."""
        if lifecycle is self._lifecycle:
            self.lost.set()

    def _close(self) -> None:
        client, self._client = self._client, None
        self._lifecycle.ended = True
        if client is not None:
            client.close(executor_wait=False)

    def _send(self, ask: "Callable[[Client], Future[Any]]") -> None:
        try:
            self._ask(ask)
        except Unavailable as error:
            asked = error.__cause__ is not None
            certain = not asked or isinstance(error.__cause__, EventStreamOperationError)
            raise NotSent(str(error), certain=certain) from error

    def _ask(self, ask: "Callable[[Client], Future[Any]]") -> Any:
        client = self._client
        if client is None or self.lost.is_set():
            raise Unavailable("there is no connection to the nucleus")
        try:
            return ask(client).result(self._timeout)
        # The SDK raises what the nucleus answered, its own errors and those of its C library.
        except Exception as error:
            raise Unavailable(_reason(error)) from error

    def _subscribe(self, ask: "Callable[[Client, dict[str, Any]], tuple[Future[Any], Any]]") -> Subscription:
        lifecycle = self._lifecycle
        subscription = Subscription(lambda: not lifecycle.ended)
        handlers = {"on_stream_error": subscription.failed, "on_stream_closed": subscription.ended}

        def begin(client: Client) -> "Future[Any]":
            future, subscription.operation = ask(client, handlers)
            return future

        try:
            self._ask(begin)
        except Unavailable:
            subscription.close()  # one that the nucleus makes too late is wanted no more
            raise
        return subscription


class _Lifecycle(LifecycleHandler):  # type: ignore[misc]  # the SDK has no types
    """Hears when a connection ends."""

    def __init__(self, nucleus: Nucleus) -> None:
        self.ended = False
        self._nucleus = nucleus

    def on_disconnect(self, reason: Exception | None) -> None:
        self.ended = True
        log.warning("the connection to the nucleus ended: %s", _reason(reason) if reason else "it was closed")
        self._nucleus.disconnected(self)


def _reason(error: BaseException) -> str:
    """Which error, and its text if it has one: those of nucleus lite have none."""
    text = str(getattr(error, "message", None) or error or "")
    return f"{type(error).__name__}: {text}" if text and text != "None" else type(error).__name__
