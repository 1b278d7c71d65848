"""Connections of Greengrass IPC: who is let in, what ends them, and nonsense that comes over one."""

import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from awscrt.exceptions import AwsCrtError
from awsiot.eventstreamrpc import AccessDeniedError, ConnectionClosedError, LifecycleHandler, StreamClosedError
from awsiot.greengrasscoreipc import connect, model

from offline.device.ipc import SOCKET
from offline.device.ipc.frames import Flag, Frame, MessageType
from offline.device.ipc.server import LITE_CONNECTIONS, PATH_BYTES, socket_path
from tests.offline.fleet import eventually
from tests.offline.ipc.nucleus import CAMERA, CONNECT, LIGHT, SECONDS, Device, Raw, json_message, running

LOST = (AwsCrtError, ConnectionClosedError, StreamClosedError)


# ---- Connections -----------------------------------------------------------------------------------------------------


def test_the_sdk_connects_with_what_the_environment_says(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in device.variables().items():
        monkeypatch.setenv(name, value)
    client = connect(timeout=SECONDS)
    assert client.new_get_configuration() is not None
    client.close()


def test_lite_closes_the_connection_of_a_stranger_without_a_word(lite: Device) -> None:
    with pytest.raises(AwsCrtError, match="SOCKET_CLOSED"):
        lite.connect(token="x" * 16)


def test_the_classic_nucleus_says_no_to_a_stranger_before_it_closes(classic: Device) -> None:
    raw = Raw(classic)
    assert raw.connect({"authToken": "x" * 16}) == Frame(MessageType.CONNECT_ACK, Flag.NONE)
    assert raw.next() is None
    with pytest.raises((AccessDeniedError, AwsCrtError)):
        classic.connect(token="x" * 16)


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        (b"", CONNECT),
        (b"no JSON", CONNECT),
        ([], CONNECT),
        ({}, CONNECT),
        ({"authToken": 5}, CONNECT),
        ({"componentName": CAMERA}, CONNECT),
        ({"authToken": "TOKEN", "componentName": LIGHT}, CONNECT),
        ({"authToken": "TOKEN"}, {":version": "0.2.0"}),
    ],
)
def test_who_does_not_say_who_it_is_is_not_let_in(device: Device, payload: Any, headers: dict[str, str]) -> None:
    if isinstance(payload, dict) and payload.get("authToken") == "TOKEN":
        payload = {**payload, "authToken": device.variables()["SVCUID"]}
    answer = Raw(device).connect(payload, headers)
    assert answer is None or answer.flags == Flag.NONE


def test_lite_alone_lets_in_who_does_not_say_the_version(lite: Device, tmp_path: Path) -> None:
    answer = Raw(lite).connect({"authToken": lite.variables()["SVCUID"], "componentName": CAMERA}, {})
    assert answer is not None
    assert answer.flags == Flag.ACCEPTED
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other", lite=False) as classic:
        refused = Raw(classic).connect({"authToken": classic.variables()["SVCUID"]}, {})
        assert refused is not None
        assert refused.flags == Flag.NONE


def test_any_other_first_frame_ends_the_connection(device: Device) -> None:
    raw = Raw(device)
    answer = raw.ask("aws.greengrass#GetConfiguration")
    assert answer is None or answer.flags == Flag.NONE


def test_lite_has_room_for_fifty_connections(lite: Device) -> None:
    token = {"authToken": lite.variables()["SVCUID"]}
    inside = [Raw(lite) for _ in range(LITE_CONNECTIONS)]
    assert all(each.connect(token) for each in inside)
    with pytest.raises((AwsCrtError, ConnectionError)):
        lite.connect()
    for each in inside:
        each.close()


def test_lite_closes_the_connection_over_a_frame_of_more_than_10_000_bytes(lite: Device) -> None:
    client = lite.connect()
    client.publish_to_topic(topic="a", publish_message=json_message({"text": "x" * 9_500}))
    with pytest.raises(LOST):
        client.publish_to_topic(topic="a", publish_message=json_message({"text": "x" * 12_000}))


def test_the_classic_nucleus_takes_long_frames(classic: Device) -> None:
    classic.connect().publish_to_topic(topic="a", publish_message=json_message({"text": "x" * 100_000}))


def test_lite_drops_who_pings_and_the_classic_nucleus_answers(raw: Raw, classic: Device) -> None:
    raw.send(Frame(MessageType.PING, payload=b"are you there"))
    assert raw.next() is None
    other = Raw(classic)
    other.connect({"authToken": classic.variables()["SVCUID"]})
    other.send(Frame(MessageType.PING, payload=b"are you there"))
    assert other.next() == Frame(MessageType.PING_RESPONSE, payload=b"are you there")


def test_a_message_on_no_stream_ends_the_connection(raw: Raw) -> None:
    assert raw.ask("aws.greengrass#GetConfiguration", stream=0) is None


def test_garbage_ends_the_connection(raw: Raw) -> None:
    raw._socket.sendall(os.urandom(64))
    assert raw.next() is None


def test_after_a_restart_of_the_nucleus_connections_and_tokens_are_dead(device: Device) -> None:
    gone: Future[bool] = Future()

    class Handler(LifecycleHandler):  # type: ignore[misc]  # the SDK has no types
        def on_disconnect(self, reason: Exception | None) -> None:
            gone.set_result(True)

    old = device.variables()["SVCUID"]
    client = device.connect(handler=Handler())
    device.nucleus.restart()
    assert gone.result(SECONDS)
    with pytest.raises(LOST):
        client.get_configuration()
    with pytest.raises((AwsCrtError, AccessDeniedError)):
        device.connect(token=old)
    assert device.connect().get_configuration(key_path=["poll"]).value == {"poll": 5}


def test_nothing_stays_behind_when_the_nucleus_stops(tmp_path: Path) -> None:
    before = threading.active_count()
    with running(tmp_path, lite=True) as device:
        device.connect().get_configuration()
        path = Path(device.variables()[SOCKET])
        assert path.is_socket()
    assert not path.exists()
    assert not list(tmp_path.iterdir())
    # A connection that its client closed ends by itself. One thread is the SDK's own.
    eventually(lambda: not any(each.name.startswith("ipc-") for each in threading.enumerate()))
    eventually(lambda: threading.active_count() <= before + 1)


def test_a_folder_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    path, made = socket_path(deep, "ipc.socket")
    assert len(str(path)) <= PATH_BYTES
    assert made is not None
    made.rmdir()
    deep.mkdir()
    with running(deep, lite=True) as device:
        assert device.connect().get_configuration().component_name == CAMERA
        other = Path(device.variables()[SOCKET]).parent
    assert not other.exists()


# ---- Requests that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "payload", "flags"),
    [
        ("aws.greengrass#ListComponents", b"{}", 0),
        ("aws.greengrass#Nonsense", b"{}", 0),
        ("GetConfiguration", b"{}", 0),
        ("", b"{}", 0),
        ("aws.greengrass#GetConfiguration", b"{", 0),
        ("aws.greengrass#GetConfiguration", b"[]", 0),
        ("aws.greengrass#GetConfiguration", b"{}", 1),
    ],
)
def test_lite_answers_nonsense_with_an_empty_error_and_goes_on(
    raw: Raw, operation: str, payload: bytes, flags: int
) -> None:
    answer = raw.ask(operation, payload, flags=flags)
    assert answer is not None
    assert (answer.kind, answer.flags, answer.stream) == (MessageType.ERROR, Flag.TERMINATE, 1)
    assert answer.text("service-model-type") == "aws.greengrass#ServiceError"
    assert answer.payload == b'{"_errorCode":"ServiceError","_message":""}'
    assert raw.ask("aws.greengrass#GetConfiguration", stream=2) is not None


def test_the_classic_nucleus_answers_an_unknown_operation_without_a_model_type(classic: Device) -> None:
    raw = Raw(classic)
    raw.connect({"authToken": classic.variables()["SVCUID"]})
    assert raw.ask("aws.greengrass#Nonsense") == Frame(MessageType.ERROR, Flag.TERMINATE, 1)


def test_operations_that_lite_does_not_have_are_service_errors(lite: Device) -> None:
    client = lite.connect()
    for ask in (client.list_components, lambda: client.get_secret_value(secret_id="x")):
        with pytest.raises(model.ServiceError):
            ask()


def test_errors_carry_a_message_on_the_classic_nucleus_alone(lite: Device, tmp_path: Path) -> None:
    with pytest.raises(model.ResourceNotFoundError) as error:
        lite.connect().get_configuration(key_path=["nowhere"])
    assert error.value.message is None
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other", lite=False) as classic:
        with pytest.raises(model.ResourceNotFoundError) as error:
            classic.connect().get_configuration(key_path=["nowhere"])
        assert error.value.message == "Key not found."
