"""A nucleus without the rest of its device, and the real SDK to ask it with."""

import json
import queue
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import awsiot.greengrasscoreipc as ipc
from awsiot.eventstreamrpc import LifecycleHandler
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2 as Client

from offline.broker import Broker, Link
from offline.device.credentials import Credentials, Denied
from offline.device.ipc import SOCKET, Configurations
from offline.device.ipc.frames import Decoder, Frame, MessageType
from offline.device.nucleus import Nucleus
from offline.device.resolution import Wanted
from offline.state import State

SECONDS = 60.0
CONNECT = {":version": "0.1.0"}
CAMERA, LIGHT = "com.example.Camera", "com.example.Light"
MQTT, LOCAL = "aws.greengrass.ipc.mqttproxy", "aws.greengrass.ipc.pubsub"


def everything() -> dict[str, Any]:
    policy = {"1": {"operations": ["*"], "resources": ["*"]}}
    return {"accessControl": {MQTT: policy, LOCAL: policy, "aws.greengrass.Cli": policy}}


class Device:
    """A nucleus without the rest of its device."""

    def __init__(self, folder: Path, *, lite: bool) -> None:
        self.lite = lite
        self.broker = Broker(State(folder))
        self.link = Link(self.broker, "reef-1")
        self.asked: list[tuple[str, str]] = []
        configured = {CAMERA: {**everything(), "poll": 5, "nested": {"num": 7}, "list": [1]}, LIGHT: everything()}
        self.saved = 0
        self.configurations = Configurations(configured, self._save)
        self.nucleus = Nucleus(
            folder,
            lite=lite,
            link=self.link,
            exchange=self._refuse,
            configurations=self.configurations,
            lifecycle=self._ask,
        )
        self._clients = ExitStack()

    def _save(self) -> None:
        self.saved += 1

    def _ask(self, component: str, what: str) -> bool:
        self.asked.append((component, what))
        return component in (CAMERA, LIGHT)

    @property
    def client(self) -> Any:
        """The MQTT client of this life of the nucleus."""
        server = self.nucleus.server
        assert server is not None
        return server.client

    def _refuse(self) -> Credentials:
        raise Denied("this device has no certificate")

    def variables(self, component: str = CAMERA) -> dict[str, str]:
        """What a process of a component finds in its environment."""
        return self.nucleus.variables(Wanted(component, "1.0.0", True, {}, {}, ()))

    def connect(self, component: str = CAMERA, token: str = "", handler: LifecycleHandler | None = None) -> Client:
        """A client with a component's own token, or with another."""
        variables = self.variables(component)
        token = token or variables["SVCUID"]
        inner = ipc.connect(ipc_socket=variables[SOCKET], authtoken=token, lifecycle_handler=handler, timeout=SECONDS)
        client = Client(inner)
        self._clients.callback(client.close)
        return client

    def allow(self, component: str, service: str, *resources: str, operations: tuple[str, ...] = ("*",)) -> None:
        """Replace what a component may do."""
        policy = {"operations": list(operations), "resources": list(resources)}
        self.configurations.replace(component, {"accessControl": {service: {"1": policy}}})

    def cloud(self, topic_filter: str = "#") -> "queue.SimpleQueue[tuple[str, bytes]]":
        """What reaches the broker from now on."""
        came: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.broker.subscribe(topic_filter, lambda topic, payload: came.put((topic, payload)))
        return came

    def close(self) -> None:
        self._clients.close()
        self.nucleus.stop()


@contextmanager
def running(folder: Path, *, lite: bool) -> Iterator[Device]:
    device = Device(folder, lite=lite)
    device.nucleus.start()
    try:
        yield device
    finally:
        device.close()


class Events:
    """What a subscription's handler got."""

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, event: Any) -> None:
        self._came.put(event)

    def next(self) -> Any:
        return self._came.get(timeout=SECONDS)

    @property
    def empty(self) -> bool:
        return self._came.empty()


def fields(answer: Any) -> tuple[str, Any]:
    """Component and content of a configuration, or of a change in one."""
    return answer.component_name, answer.value if hasattr(answer, "value") else answer.key_path


class Raw:
    """A connection without the SDK, for what the SDK never sends."""

    def __init__(self, device: Device) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SECONDS)
        self._socket.connect(device.variables()[SOCKET])
        self._decoder = Decoder(1 << 20)
        self._came: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self._socket.sendall(frame.encoded())

    def connect(self, payload: Any, headers: Any = CONNECT) -> Frame | None:
        text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send(Frame(MessageType.CONNECT, 0, 0, headers, text))
        return self.next()

    def next(self) -> Frame | None:
        """The next frame; None when the nucleus closed the connection."""
        while not self._came:
            try:
                data = self._socket.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._came += self._decoder.feed(data)
        return self._came.pop(0)

    def ask(self, operation: str, payload: bytes = b"{}", *, stream: int = 1, flags: int = 0) -> Frame | None:
        self.send(Frame(MessageType.APPLICATION, flags, stream, {"operation": operation} if operation else {}, payload))
        return self.next()

    def close(self) -> None:
        self._socket.close()


def json_message(message: Any) -> model.PublishMessage:
    return model.PublishMessage(json_message=model.JsonMessage(message=message))


def binary_message(message: bytes) -> model.PublishMessage:
    return model.PublishMessage(binary_message=model.BinaryMessage(message=message))
