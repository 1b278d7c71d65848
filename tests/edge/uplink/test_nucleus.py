"""The connection to the nucleus: what is taken, what is refused, and how it ends."""

import queue
import socket
import threading
import time
from pathlib import Path

import pytest
from classifier.uplink.nucleus import LOCAL_BYTES, PAYLOAD_BYTES, NotSent, Nucleus, Unavailable

from offline.device.ipc import SOCKET
from tests.edge.device import eventually
from tests.edge.uplink.conftest import connected
from tests.offline.ipc.nucleus import CAMERA, LIGHT, MQTT, SECONDS, Device, Events, everything

TOPIC = "reefloop/reef-1/alert"


def test_a_message_reaches_the_broker(device: Device, nucleus: Nucleus) -> None:
    came = device.cloud()
    nucleus.publish(TOPIC, b"\x00\xff")
    assert came.get(timeout=SECONDS) == (TOPIC, b"\x00\xff")


def test_without_a_link_lite_takes_no_message_and_classic_keeps_it(device: Device, nucleus: Nucleus) -> None:
    came = device.cloud()
    device.link.cut()
    if device.lite:
        with pytest.raises(NotSent, match="ServiceError") as refused:
            nucleus.publish(TOPIC, b"1")
        assert refused.value.certain
        device.link.restore()
        nucleus.publish(TOPIC, b"2")
        assert came.get(timeout=SECONDS) == (TOPIC, b"2")
    else:
        nucleus.publish(TOPIC, b"1")
        assert came.empty()
        device.link.restore()
        assert came.get(timeout=SECONDS) == (TOPIC, b"1")


def test_messages_of_the_largest_size_fit_the_frames_of_lite(device: Device, nucleus: Nucleus) -> None:
    came = device.cloud()
    topic = f"reefloop/{'t' * 128}/summary"
    nucleus.publish(topic, b"\xff" * PAYLOAD_BYTES)
    assert came.get(timeout=SECONDS) == (topic, b"\xff" * PAYLOAD_BYTES)
    assert not nucleus.lost.is_set()


def test_what_would_break_the_connection_is_not_even_tried(device: Device, nucleus: Nucleus) -> None:
    for topic, size in ((TOPIC, PAYLOAD_BYTES + 1), ("reefloop/#", 1), ("reefloop/+/alert", 1)):
        with pytest.raises(ValueError, match="bytes for reefloop/"):
            nucleus.publish(topic, b"\xff" * size)
    with pytest.raises(ValueError, match="too long"):
        nucleus.publish_locally("reefloop/alert", {"text": "x" * LOCAL_BYTES})
    assert not nucleus.lost.is_set()


def test_what_is_not_permitted_is_not_sent(device: Device, nucleus: Nucleus) -> None:
    device.allow(CAMERA, MQTT, "elsewhere/*")
    with pytest.raises(NotSent, match="UnauthorizedError") as refused:
        nucleus.publish(TOPIC, b"1")
    assert refused.value.certain


def test_components_beside_it_are_told_whatever_the_link_does(device: Device, nucleus: Nucleus) -> None:
    heard = Events()
    device.connect(LIGHT).subscribe_to_topic(topic="reefloop/alert", on_stream_event=heard)
    device.link.cut()
    nucleus.publish_locally("reefloop/alert", {"species": "crab"})
    assert heard.next().json_message.message == {"species": "crab"}


def test_a_local_message_of_the_largest_size_passes(device: Device, nucleus: Nucleus) -> None:
    heard = Events()
    device.connect(LIGHT).subscribe_to_topic(topic="reefloop/alert", on_stream_event=heard)
    nucleus.publish_locally("reefloop/alert", {"text": "x" * (LOCAL_BYTES - len('{"text": ""}'))})
    heard.next()
    assert not nucleus.lost.is_set()


def test_messages_from_the_cloud_come_in_order(device: Device, nucleus: Nucleus) -> None:
    came: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    subscription = nucleus.subscribe("reefloop/reef-1/ack", lambda topic, payload: came.put((topic, payload)))
    for number in range(50):
        device.broker.publish("reefloop/reef-1/ack", b"%d" % number, qos=1)
    assert [came.get(timeout=SECONDS)[1] for _ in range(50)] == [b"%d" % number for number in range(50)]
    assert subscription.alive


def test_a_subscription_outlives_a_link_that_comes_back(device: Device, nucleus: Nucleus) -> None:
    came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    subscription = nucleus.subscribe("reefloop/reef-1/ack", lambda _, payload: came.put(payload))
    device.link.cut()
    device.link.restore()
    device.broker.publish("reefloop/reef-1/ack", b"1", qos=1)
    assert came.get(timeout=SECONDS) == b"1"
    assert subscription.alive


def test_a_subscription_that_is_closed_hears_no_more(device: Device, nucleus: Nucleus) -> None:
    came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    subscription = nucleus.subscribe("a", lambda _, payload: came.put(payload))
    subscription.close()
    subscription.close()
    assert not subscription.alive
    kept: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    nucleus.subscribe("b", lambda _, payload: kept.put(payload))
    device.broker.publish("a", b"1", qos=1)
    device.broker.publish("b", b"2", qos=1)
    assert kept.get(timeout=SECONDS) == b"2"
    assert came.empty()


def test_without_a_link_there_is_no_subscription(device: Device, nucleus: Nucleus) -> None:
    device.link.cut()
    with pytest.raises(Unavailable, match="ServiceError"):
        nucleus.subscribe("reefloop/reef-1/ack", lambda *_: None)


def test_the_configuration_is_read_and_its_changes_are_told(device: Device, nucleus: Nucleus) -> None:
    assert nucleus.configuration()["nested"] == {"num": 7}
    changed = threading.Semaphore(0)
    nucleus.on_configuration(changed.release)
    device.configurations.replace(CAMERA, {**everything(), "nested": {"num": 8}})
    assert changed.acquire(timeout=SECONDS)
    assert nucleus.configuration()["nested"] == {"num": 8}


def test_a_nucleus_that_dies_ends_everything_at_once(device: Device, nucleus: Nucleus) -> None:
    subscription = nucleus.subscribe("a", lambda *_: None)
    device.nucleus.restart()
    assert nucleus.lost.wait(SECONDS)
    eventually(lambda: not subscription.alive)
    with pytest.raises(NotSent, match="no connection") as refused:
        nucleus.publish(TOPIC, b"1")
    assert refused.value.certain
    with pytest.raises(Unavailable):
        nucleus.configuration()
    assert not nucleus.connect()  # its token died with the nucleus that gave it
    assert nucleus.lost.is_set()


def test_a_connection_that_broke_is_mended_while_the_nucleus_lives(device: Device, nucleus: Nucleus) -> None:
    server = device.nucleus.server
    assert server is not None
    for connection in list(server._connections):
        connection.close()
    assert nucleus.lost.wait(SECONDS)
    assert nucleus.connect()
    assert not nucleus.lost.is_set()
    came = device.cloud()
    nucleus.publish(TOPIC, b"1")
    assert came.get(timeout=SECONDS) == (TOPIC, b"1")
    assert nucleus.connect()


def test_no_subscription_outlives_its_connection_in_whatever_order_its_end_is_told(
    device: Device, nucleus: Nucleus
) -> None:
    subscription = nucleus.subscribe("a", lambda *_: None)
    nucleus.close()
    assert not subscription.alive
    assert nucleus.connect()
    assert not subscription.alive
    assert nucleus.subscribe("a", lambda *_: None).alive


@pytest.mark.parametrize("missing", [SOCKET, "SVCUID"])
def test_without_a_nucleus_the_component_works_on(
    device: Device, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name, value in device.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    nucleus = Nucleus()
    assert nucleus.lost.is_set()
    with pytest.raises(NotSent):
        nucleus.publish(TOPIC, b"1")
    nucleus.close()


def test_the_environment_names_the_nucleus(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in device.variables().items():
        monkeypatch.setenv(name, value)
    nucleus = Nucleus()
    assert not nucleus.lost.is_set()
    nucleus.close()
    assert nucleus.lost.is_set()


def test_a_nucleus_that_says_nothing_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "ipc"))
        mute.listen()
        started = time.monotonic()
        nucleus = Nucleus(socket=str(tmp_path / "ipc"), token="t", timeout_seconds=0.05)
        assert nucleus.lost.is_set()
        assert time.monotonic() - started < SECONDS


def test_an_operation_that_is_not_answered_ends_in_time_and_may_have_worked(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = device.nucleus.server
    assert server is not None
    held = threading.Event()
    publish = server.client.publish

    def slow(topic: str, payload: bytes, *, qos: int) -> None:
        held.wait(SECONDS)
        publish(topic, payload, qos=qos)

    monkeypatch.setattr(server.client, "publish", slow)
    came = device.cloud()
    nucleus = connected(device, timeout_seconds=0.05)
    with pytest.raises(NotSent, match="TimeoutError") as unanswered:
        nucleus.publish(TOPIC, b"1")
    assert not unanswered.value.certain
    held.set()
    assert came.get(timeout=SECONDS) == (TOPIC, b"1")
    nucleus.close()
