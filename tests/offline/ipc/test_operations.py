"""Greengrass IPC asked by the real SDK: configuration, messages between components, states."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from awsiot.greengrasscoreipc import model

from offline.device.ipc import Configurations
from tests.offline.ipc.nucleus import (
    CAMERA,
    LIGHT,
    LOCAL,
    SECONDS,
    Device,
    Events,
    Raw,
    binary_message,
    fields,
    json_message,
)


def now(later: float = 0.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=later)


# ---- Configuration ---------------------------------------------------------------------------------------------------


def test_an_object_is_returned_as_it_is_and_anything_else_below_its_key(device: Device) -> None:
    client = device.connect()
    assert fields(client.get_configuration(key_path=["nested"])) == (CAMERA, {"num": 7})
    assert fields(client.get_configuration(key_path=["nested", "num"])) == (CAMERA, {"num": 7})
    assert fields(client.get_configuration(key_path=["list"])) == (CAMERA, {"list": [1]})
    assert set(client.get_configuration().value) == {"accessControl", "poll", "nested", "list"}


def test_any_component_may_read_the_configuration_of_another(device: Device) -> None:
    assert device.connect(LIGHT).get_configuration(component_name=CAMERA, key_path=["poll"]).value == {"poll": 5}


@pytest.mark.parametrize(("component", "path"), [("com.example.None", []), (CAMERA, ["no"]), (CAMERA, ["poll", "no"])])
def test_what_is_not_configured_is_not_found(device: Device, component: str, path: list[str]) -> None:
    client = device.connect()
    with pytest.raises(model.ResourceNotFoundError):
        client.get_configuration(component_name=component, key_path=path)
    with pytest.raises(model.ResourceNotFoundError):
        client.subscribe_to_configuration_update(component_name=component, key_path=path, on_stream_event=Events())


@pytest.mark.parametrize("payload", [b'{"keyPath":null}', b'{"keyPath":"poll"}', b'{"componentName":1}'])
def test_lite_refuses_a_key_path_that_is_no_list(raw: Raw, payload: bytes) -> None:
    answer = raw.ask("aws.greengrass#GetConfiguration", payload)
    assert answer is not None
    assert answer.text("service-model-type") == "aws.greengrass#ServiceError"


def test_a_component_changes_its_own_configuration(device: Device) -> None:
    client, saved = device.connect(), device.saved
    client.update_configuration(key_path=["nested"], timestamp=now(), value_to_merge={"more": {"deep": True}})
    assert client.get_configuration(key_path=["nested"]).value == {"num": 7, "more": {"deep": True}}
    client.update_configuration(key_path=[], timestamp=now(), value_to_merge={"poll": 9})
    assert client.get_configuration(key_path=["poll"]).value == {"poll": 9}
    assert device.saved == saved + 2


def test_an_older_change_is_ignored_by_lite_and_refused_by_the_classic_nucleus(device: Device) -> None:
    client = device.connect()
    client.update_configuration(key_path=[], timestamp=now(60), value_to_merge={"poll": 9})
    try:
        client.update_configuration(key_path=[], timestamp=now(), value_to_merge={"poll": 1})
        refused = False
    except model.FailedUpdateConditionCheckError:
        refused = True
    assert refused is not device.lite
    assert client.get_configuration(key_path=["poll"]).value == {"poll": 9}


@pytest.mark.parametrize(("path", "value"), [(["accessControl"], {"x": {}}), ([], {"accessControl": {}})])
def test_a_component_cannot_give_itself_rights(device: Device, path: list[str], value: Any) -> None:
    with pytest.raises(model.InvalidArgumentsError):
        device.connect().update_configuration(key_path=path, timestamp=now(), value_to_merge=value)


@pytest.mark.parametrize(("path", "value"), [(["poll"], {"a": 1}), (["poll", "below"], {"a": 1}), ([], {"nested": 1})])
def test_a_value_becomes_no_object_nor_an_object_a_value(device: Device, path: list[str], value: Any) -> None:
    with pytest.raises((model.InvalidArgumentsError, model.ServiceError)):
        device.connect().update_configuration(key_path=path, timestamp=now(), value_to_merge=value)
    assert device.connect().get_configuration(key_path=["nested"]).value == {"num": 7}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"valueToMerge": {"poll": 1}, "timestamp": 5}, "InvalidArgumentsError"),
        ({"valueToMerge": {"poll": 1}, "timestamp": True}, "InvalidArgumentsError"),
        ({"valueToMerge": {"poll": 1}}, "InvalidArgumentsError"),
        ({"timestamp": 5.0}, "ServiceError"),
        ({"timestamp": 5.0, "valueToMerge": 1}, "ServiceError"),
    ],
)
def test_lite_takes_times_in_fractions_of_seconds_alone(raw: Raw, request_: dict[str, Any], error: str) -> None:
    answer = raw.ask("aws.greengrass#UpdateConfiguration", json.dumps(request_).encode())
    assert answer is not None
    assert answer.text("service-model-type") == f"aws.greengrass#{error}"


def test_subscribers_hear_which_leaf_changed_and_not_of_what_stayed(device: Device) -> None:
    client, everything, nested = device.connect(), Events(), Events()
    client.subscribe_to_configuration_update(on_stream_event=everything)
    client.subscribe_to_configuration_update(key_path=["nested"], on_stream_event=nested)
    client.update_configuration(key_path=[], timestamp=now(), value_to_merge={"poll": 5, "nested": {"num": 8}})
    for events in (everything, nested):
        assert fields(events.next().configuration_update_event) == (CAMERA, ["nested", "num"])
    client.update_configuration(key_path=[], timestamp=now(1), value_to_merge={"poll": 6})
    assert fields(everything.next().configuration_update_event) == (CAMERA, ["poll"])
    assert nested.empty


def test_what_a_deployment_changes_reaches_subscribers(device: Device) -> None:
    client, events = device.connect(), Events()
    client.subscribe_to_configuration_update(key_path=["nested"], on_stream_event=events)
    configuration = device.configurations.get(CAMERA) or {}
    device.configurations.replace(CAMERA, {**configuration, "poll": 1, "nested": {"other": [2]}})
    came = sorted(fields(events.next().configuration_update_event)[1] for _ in range(2))
    assert came == [["nested", "num"], ["nested", "other"]]


def test_who_unsubscribed_hears_no_more(device: Device) -> None:
    client, events, others = device.connect(), Events(), Events()
    _, operation = client.subscribe_to_configuration_update(on_stream_event=events)
    operation.close().result(SECONDS)
    client.get_configuration()  # comes after the end of the subscription on the same connection
    client.subscribe_to_configuration_update(on_stream_event=others)
    client.update_configuration(key_path=[], timestamp=now(), value_to_merge={"poll": 6})
    others.next()
    assert events.empty


def test_configurations_go_back_to_what_they_were() -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    configurations = Configurations({"a": {"x": 1}}, lambda: None)
    configurations.watch("a", (), lambda name, path: told.append((name, path)))
    before = configurations.all()
    configurations.replace("a", {"x": 2, "empty": {}})
    configurations.replace("b", {})
    configurations.restore(before)
    assert configurations.all() == before
    assert told == [("a", ("x",)), ("a", ("empty",)), ("a", ("x",)), ("a", ("empty",))]


# ---- Messages between components -------------------------------------------------------------------------------------


def test_components_tell_each_other_json_and_bytes(device: Device) -> None:
    events, light = Events(), device.connect(LIGHT)
    light.subscribe_to_topic(topic="reef/+/light", on_stream_event=events)
    camera = device.connect(CAMERA)
    camera.publish_to_topic(topic="reef/1/light", publish_message=json_message({"on": True}))
    came = events.next().json_message
    assert (came.message, came.context.topic) == ({"on": True}, "reef/1/light")
    camera.publish_to_topic(topic="reef/2/light", publish_message=binary_message(b"\x00\xff"))
    came = events.next().binary_message
    assert (came.message, came.context.topic) == (b"\x00\xff", "reef/2/light")


@pytest.mark.parametrize(
    ("topic", "mode", "lite_too"),
    [
        ("a/b", None, True),
        ("a/#", None, False),
        ("a/#", "RECEIVE_ALL_MESSAGES", True),
        ("a/b", "RECEIVE_MESSAGES_FROM_OTHERS", False),
    ],
)
def test_a_component_hears_itself_always_on_lite_and_as_it_asks_on_the_classic_nucleus(
    device: Device, topic: str, mode: str | None, lite_too: bool
) -> None:
    client, events, end = device.connect(), Events(), Events()
    client.subscribe_to_topic(topic=topic, receive_mode=mode, on_stream_event=events)
    client.subscribe_to_topic(topic="end", on_stream_event=end)
    client.publish_to_topic(topic="a/b", publish_message=json_message({}))
    client.publish_to_topic(topic="end", publish_message=json_message({}))
    end.next()
    if device.lite or lite_too:
        events.next()
    assert events.empty


def test_an_answer_comes_before_its_events(device: Device) -> None:
    stop, light = threading.Event(), device.connect(LIGHT)

    def chatter() -> None:
        while not stop.is_set():
            light.publish_to_topic(topic="a", publish_message=json_message({}))

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for _ in range(30):
            events, client = Events(), device.connect()
            client.subscribe_to_topic(topic="a", on_stream_event=events)
            events.next()
            client.close()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"jsonMessage": {"message": {}}, "binaryMessage": {"message": "AA=="}},
        {"jsonMessage": 5},
        {"binaryMessage": {"message": "no base64"}},
        5,
    ],
)
def test_a_message_is_either_json_or_bytes(raw: Raw, message: Any) -> None:
    request = json.dumps({"topic": "a", "publishMessage": message}).encode()
    answer = raw.ask("aws.greengrass#PublishToTopic", request)
    assert answer is not None
    assert answer.text("service-model-type") == "aws.greengrass#ServiceError"


def test_the_classic_nucleus_refuses_wildcards_in_a_topic_and_json_that_is_no_object(classic: Device) -> None:
    client = classic.connect()
    with pytest.raises(model.InvalidArgumentsError):
        client.publish_to_topic(topic="a/+", publish_message=json_message({}))
    with pytest.raises(model.InvalidArgumentsError):
        client.publish_to_topic(topic="a", publish_message=json_message([1]))


def test_local_topics_too_need_permission(device: Device) -> None:
    device.allow(CAMERA, LOCAL, "a/*", operations=("aws.greengrass#SubscribeToTopic",))
    client = device.connect()
    client.subscribe_to_topic(topic="a/b/c", on_stream_event=Events())
    with pytest.raises(model.UnauthorizedError):
        client.subscribe_to_topic(topic="b", on_stream_event=Events())
    with pytest.raises(model.UnauthorizedError):
        client.publish_to_topic(topic="a/b", publish_message=json_message({}))


# ---- States ----------------------------------------------------------------------------------------------------------


def test_a_component_reports_its_state(device: Device) -> None:
    client = device.connect()
    for state in ("RUNNING", "ERRORED"):
        client.update_state(state=state)
    assert device.asked == [(CAMERA, "RUNNING"), (CAMERA, "ERRORED")]
    with pytest.raises((model.ServiceError, model.InvalidArgumentsError)):
        client.update_state(state="running")


def test_lite_takes_other_states_and_the_classic_nucleus_does_not(device: Device) -> None:
    client = device.connect()
    if device.lite:
        client.update_state(state="STARTING")
        return
    with pytest.raises(model.InvalidArgumentsError):
        client.update_state(state="STARTING")


def test_a_component_with_the_right_restarts_another(device: Device) -> None:
    client = device.connect()
    assert client.restart_component(component_name=LIGHT).restart_status == "SUCCEEDED"
    with pytest.raises(model.ComponentNotFoundError):
        client.restart_component(component_name="com.example.None")
    device.allow(CAMERA, LOCAL, "*")
    with pytest.raises(model.UnauthorizedError):
        client.restart_component(component_name=LIGHT)
    assert device.asked[0] == (LIGHT, "RESTART")
