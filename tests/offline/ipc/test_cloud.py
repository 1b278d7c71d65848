"""Greengrass IPC asked by the real SDK: messages to and from the cloud, what is lost, and who may send what."""

import threading
from typing import Any

import pytest
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2 as Client

from offline.device.ipc.authorization import covers
from offline.device.ipc.mqtt import CLASSIC_SPOOL_BYTES, ClassicClient, packet_bytes
from tests.offline.ipc.nucleus import CAMERA, MQTT, SECONDS, Device, Events, Raw


def publish(client: Client, payload: bytes = b"{}", *, topic: str = "reef/1", qos: str = "1") -> None:
    client.publish_to_iot_core(topic_name=topic, qos=qos, payload=payload)


def accepted(client: Client, payload: bytes, most: int) -> int:
    """How many messages the nucleus takes before it refuses one."""
    for count in range(most):
        try:
            publish(client, payload)
        except model.ServiceError:
            return count
    return most


def sent(device: Device) -> list[bytes]:
    """What reaches the broker while a test runs."""
    payloads: list[bytes] = []
    device.broker.subscribe("reef/#", lambda topic, payload: payloads.append(payload))
    return payloads


# ---- To the cloud and back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", ["0", "1"])
def test_a_message_reaches_the_broker(device: Device, qos: str) -> None:
    came = device.cloud()
    publish(device.connect(), b"\x00\xff", qos=qos)
    assert came.get(timeout=SECONDS) == ("reef/1", b"\x00\xff")


def test_a_message_without_quality_or_payload_goes_out_too(device: Device) -> None:
    came = device.cloud()
    device.connect().publish_to_iot_core(topic_name="reef/1")
    assert came.get(timeout=SECONDS) == ("reef/1", b"")


def test_a_message_of_the_broker_reaches_who_subscribed(device: Device) -> None:
    events = Events()
    device.connect().subscribe_to_iot_core(topic_name="reef/+/ack", qos="1", on_stream_event=events)
    device.broker.publish("reef/1/ack", b"7")
    device.broker.publish("reef/1/other", b"8")
    message = events.next().message
    assert (message.topic_name, message.payload) == ("reef/1/ack", b"7")
    assert events.empty


def test_a_subscription_survives_a_link_that_was_down(device: Device) -> None:
    events = Events()
    device.connect().subscribe_to_iot_core(topic_name="reef/ack", qos="1", on_stream_event=events)
    device.link.cut()
    device.broker.publish("reef/ack", b"lost")
    device.link.restore()
    device.broker.publish("reef/ack", b"heard")
    assert events.next().message.payload == b"heard"
    assert events.empty


def test_without_a_link_nobody_subscribes(device: Device) -> None:
    device.link.cut()
    with pytest.raises(model.ServiceError):
        device.connect().subscribe_to_iot_core(topic_name="reef/ack", qos="1", on_stream_event=Events())


def test_a_message_of_5_000_bytes_does_not_reach_a_component_of_lite_and_nobody_hears_of_it(device: Device) -> None:
    events = Events()
    device.connect().subscribe_to_iot_core(topic_name="down", qos="1", on_stream_event=events)
    for size in (4_960, 5_000, 1):
        device.broker.publish("down", bytes(size))
    sizes = [len(events.next().message.payload) for _ in range(2 if device.lite else 3)]
    assert sizes == ([4_960, 1] if device.lite else [4_960, 5_000, 1])


@pytest.mark.parametrize("request_", [b'{"topicName":"a","qos":"3"}', b'{"topicName":"a","payload":"-"}', b"{}"])
def test_lite_refuses_what_is_no_message(lite: Device, request_: bytes) -> None:
    raw = Raw(lite)
    raw.connect({"authToken": lite.variables()["SVCUID"]})
    answer = raw.ask("aws.greengrass#PublishToIoTCore", request_)
    assert answer is not None
    assert answer.text("service-model-type") == "aws.greengrass#ServiceError"
    answer = raw.ask("aws.greengrass#PublishToIoTCore", b'{"topicName":"a","qos":1}', stream=2)
    assert answer is not None
    assert answer.text("service-model-type") == "aws.greengrass#PublishToIoTCoreResponse"


# ---- Nucleus lite: no queue ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", ["0", "1"])
def test_without_a_link_lite_takes_nothing(lite: Device, qos: str) -> None:
    lite.link.cut()
    client = lite.connect()
    with pytest.raises(model.ServiceError) as error:
        publish(client, qos=qos)
    assert error.value.message is None
    lite.link.restore()
    publish(client, qos=qos)


@pytest.mark.parametrize(("size", "fit"), [(1_400, 10), (1_600, 9), (4_800, 3), (10, 10)])
def test_lite_stores_ten_messages_and_15_000_bytes_without_acknowledgement(lite: Device, size: int, fit: int) -> None:
    client = lite.connect()
    lite.link.hold_acknowledgements()
    assert accepted(client, bytes(size), 20) == fit
    publish(client, qos="0")
    lite.link.release()
    lite.link.hold_acknowledgements()
    assert accepted(client, bytes(size), 20) == fit


def test_what_lite_has_under_way_is_lost_with_its_connection_and_makes_room(lite: Device) -> None:
    came, client = sent(lite), lite.connect()
    lite.link.hold_messages()
    assert accepted(client, b"lost", 20) == 10
    lite.link.cut()
    lite.link.restore()
    lite.link.release()
    publish(client, b"kept")
    assert came == [b"kept"]


def test_a_wildcard_in_a_topic_makes_the_broker_disconnect_lite(lite: Device) -> None:
    came, ups = sent(lite), []
    lite.link.watch(ups.append)
    client = lite.connect()
    lite.link.hold_messages()
    publish(client, b"under way")
    publish(client, topic="reef/#")
    assert ups == [False, True]
    lite.link.release()
    publish(client, b"after")
    assert came == [b"after"]


# ---- The classic nucleus: a spooler in memory ------------------------------------------------------------------------


def test_the_classic_nucleus_keeps_messages_until_there_is_a_link(classic: Device) -> None:
    came, client = sent(classic), classic.connect()
    classic.link.cut()
    for number in range(20):
        publish(client, b"%d" % number)
    assert came == []
    classic.link.restore()
    assert came == [b"%d" % number for number in range(20)]


def test_without_a_link_the_classic_nucleus_drops_what_may_be_lost(classic: Device) -> None:
    classic.link.cut()
    with pytest.raises(model.ServiceError) as error:
        publish(classic.connect(), qos="0")
    assert "Device is offline" in error.value.message


def test_the_spooler_is_full_at_two_and_a_half_mebibytes(classic: Device) -> None:
    client, size = classic.connect(), 100_000
    classic.link.cut()
    assert accepted(client, bytes(size), 100) == CLASSIC_SPOOL_BYTES // size
    classic.link.restore()
    publish(client, bytes(size))


def test_what_was_not_acknowledged_is_sent_again_by_the_classic_nucleus(classic: Device) -> None:
    came, client = sent(classic), classic.connect()
    classic.link.hold_acknowledgements()
    for number in range(7):
        publish(client, b"%d" % number)
    assert came == [b"0", b"1", b"2", b"3", b"4"]  # five may be under way
    classic.link.cut()
    classic.link.restore()
    assert came[5:] == came[:5]
    classic.link.release()
    assert came[10:] == [b"5", b"6"]


@pytest.mark.parametrize("topic", ["reef/#", "reef/+/1", "a/b/c/d/e/f/g/h/i", "t" * 300])
def test_the_classic_nucleus_refuses_topics_that_the_broker_would_not_take(classic: Device, topic: str) -> None:
    with pytest.raises(model.ServiceError):
        publish(classic.connect(), topic=topic)
    assert classic.link.up


def test_the_classic_nucleus_refuses_a_payload_that_the_broker_would_not_take(classic: Device) -> None:
    with pytest.raises(model.ServiceError) as error:
        publish(classic.connect(), bytes(131_073))
    assert "131073 bytes exceeds the limit" in error.value.message


def test_nothing_that_the_broker_had_is_spooled_any_more(classic: Device) -> None:
    client = classic.connect()
    for qos in ("0", "1"):
        publish(client, bytes(1_000), qos=qos)
    spooler = classic.client
    assert isinstance(spooler, ClassicClient)
    assert spooler.spooled_bytes == 0


def test_a_message_that_the_certificate_may_not_send_is_gone_without_a_word(device: Device) -> None:
    came, client = sent(device), device.connect()
    device.link.permits = lambda action, resource: not resource.endswith("/secret")
    publish(client, b"denied", topic="reef/secret")
    publish(client, b"kept")
    assert came == [b"kept"]


def breaking(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the link go down between the nucleus's look at it and its next message."""
    publish_now = device.link.publish

    def cut_first(*args: Any, **terms: Any) -> None:
        monkeypatch.undo()
        device.link.cut()
        publish_now(*args, **terms)

    monkeypatch.setattr(device.link, "publish", cut_first)


def test_a_link_that_breaks_under_a_message_fails_it_on_lite_and_leaves_no_trace(
    lite: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = lite.connect()
    breaking(lite, monkeypatch)
    with pytest.raises(model.ServiceError):
        publish(client)
    lite.link.restore()
    lite.link.hold_acknowledgements()
    assert accepted(client, b"", 20) == 10


def test_a_link_that_breaks_under_a_message_only_delays_it_on_the_classic_nucleus(
    classic: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, client = sent(classic), classic.connect()
    breaking(classic, monkeypatch)
    publish(client, b"late")
    assert came == []
    classic.link.restore()
    assert came == [b"late"]


# ---- The nucleus dies ------------------------------------------------------------------------------------------------


def test_what_the_nucleus_had_dies_with_it(device: Device) -> None:
    came, client = sent(device), device.connect()
    device.link.hold_messages()
    for _ in range(5):
        publish(client, b"lost")
    device.nucleus.restart()
    device.link.release()
    publish(device.connect(), b"kept")
    assert came == [b"kept"]


def test_a_spool_without_a_link_dies_with_the_classic_nucleus(classic: Device) -> None:
    came = sent(classic)
    classic.link.cut()
    publish(classic.connect(), b"lost")
    classic.nucleus.restart()
    assert not classic.link.up
    classic.link.restore()
    assert came == []


def test_subscriptions_end_with_the_nucleus(device: Device) -> None:
    device.connect().subscribe_to_iot_core(topic_name="reef/ack", qos="1", on_stream_event=Events())
    assert [each.topic_filter for each in device.broker._subscriptions] == ["reef/ack"]
    device.nucleus.restart()
    assert device.broker._subscriptions == []


def test_many_components_publish_at_once_while_the_link_comes_and_goes(classic: Device) -> None:
    came, count = sent(classic), 100
    clients = [classic.connect() for _ in range(4)]

    def chatter(who: int) -> None:
        for number in range(count):
            publish(clients[who], b"%d %d" % (who, number))

    threads = [threading.Thread(target=chatter, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        classic.link.cut()
        classic.link.restore()
    for thread in threads:
        thread.join()
    assert {*came} == {b"%d %d" % (who, number) for who in range(4) for number in range(count)}


# ---- Who may ---------------------------------------------------------------------------------------------------------


def test_a_topic_needs_permission(device: Device) -> None:
    device.allow(CAMERA, MQTT, "reef/*/alert", operations=("aws.greengrass#PublishToIoTCore",))
    client = device.connect()
    publish(client, topic="reef/1/alert")
    with pytest.raises(model.UnauthorizedError):
        publish(client, topic="reef/1/other")
    with pytest.raises(model.UnauthorizedError):
        client.subscribe_to_iot_core(topic_name="reef/1/alert", qos="1", on_stream_event=Events())


@pytest.mark.parametrize(
    "control",
    [
        None,
        {},
        {MQTT: {}},
        {MQTT: {"1": {"operations": ["*"]}}},
        {MQTT: {"1": "all"}},
        {MQTT: "all"},
        {"aws.greengrass.ipc.pubsub": {"1": {"operations": ["*"], "resources": ["*"]}}},
        {MQTT: {"1": {"operations": ["PublishToIoTCore"], "resources": ["*"]}}},
        {MQTT: {"1": {"operations": ["*"], "resources": ["{iot:thingName}/a"]}}},
    ],
)
def test_what_no_policy_grants_is_denied(device: Device, control: Any) -> None:
    device.configurations.replace(CAMERA, {"accessControl": control} if control is not None else {})
    with pytest.raises(model.UnauthorizedError):
        publish(device.connect(), topic="reef-1/a")


@pytest.mark.parametrize(
    ("allowed", "resource", "mqtt", "lite", "classic"),
    [
        ("*", "a/b", True, True, True),
        ("a/*", "a/b/c", True, True, True),
        ("a/*/c", "a/b/b/c", False, True, True),
        ("a*", "a/b", True, True, True),
        ("a/b", "a/b/c", True, False, False),
        ("a.b", "a/b", True, False, False),
        ("${*}/a", "*/a", True, True, True),
        ("${*}/a", "b/a", True, False, False),
        ("a/+/c", "a/b/c", True, True, True),
        ("a/+/c", "a/b/b/c", True, False, False),
        ("a/+", "a/b", True, True, True),
        ("+/b", "a/b", True, True, True),
        ("a+/b", "aa/b", True, False, False),
        ("b/#", "b/c/d", True, True, True),
        ("b/#", "b", True, False, True),
        ("#", "b/c", True, True, True),
        ("b/#/c", "b/x/c", True, False, False),
        ("a/+/c", "a/+/c", True, True, True),
        ("a/#", "a/#", True, True, True),
        ("a/+", "a/b", False, False, False),
        ("a/#", "a/b", False, False, False),
        ("a/#", "a/#", False, True, True),
    ],
)
def test_resources_stand_for_topics(allowed: str, resource: str, mqtt: bool, lite: bool, classic: bool) -> None:
    assert covers(allowed, resource, mqtt=mqtt, lite=True) is lite
    assert covers(allowed, resource, mqtt=mqtt, lite=False) is classic


@pytest.mark.parametrize(
    ("topic", "payload", "length"), [("a", 0, 7), ("a", 122, 129), ("a", 123, 131), ("a", 20_000, 20_009)]
)
def test_a_packet_is_as_long_as_mqtt_makes_it(topic: str, payload: int, length: int) -> None:
    assert packet_bytes(topic, bytes(payload), qos=1) == length
