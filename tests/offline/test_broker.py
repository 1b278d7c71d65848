"""The account's MQTT broker, and the link between it and a device."""

from collections.abc import Callable
from pathlib import Path

import pytest

from offline.broker import PAYLOAD_BYTES, Broker, Link, Rejected, matches
from offline.state import State


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return State(tmp_path).only(Broker)


class Inbox:
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []

    def __call__(self, topic: str, payload: bytes) -> None:
        self.messages.append((topic, payload))


# ---- Topics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("a/b", "a/b"),
        ("a/+", "a/b"),
        ("+/b", "a/b"),
        ("+/+", "/b"),
        ("a/+/c", "a//c"),
        ("#", "a/b"),
        ("a/#", "a/b/c"),
        ("a/#", "a"),
        ("a/+/#", "a/b"),
        ("$aws/#", "$aws/things"),
    ],
)
def test_a_filter_takes(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic)


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("a/b", "a/b/c"),
        ("a/b/c", "a/b"),
        ("a/b", "A/b"),
        ("a/+", "a"),
        ("+", "a/b"),
        ("+", "/a"),
        ("a/+/#", "a"),
        ("a/#", "ab"),
        ("#", "$aws/things"),
        ("+/things", "$aws/things"),
        ("", "a"),
    ],
)
def test_a_filter_does_not_take(topic_filter: str, topic: str) -> None:
    assert not matches(topic_filter, topic)


@pytest.mark.parametrize("topic", ["", "a/#", "a/+/b", "$aws/x", "a\0b", "a" * 257, "é" * 129, "/" * 8])
def test_what_is_no_topic_is_rejected(broker: Broker, topic: str) -> None:
    with pytest.raises(Rejected, match=r"topic"):
        broker.publish(topic, b"")


@pytest.mark.parametrize("topic_filter", ["", "a/#/b", "a#", "a/b+", "/" * 8, "a" * 257])
def test_what_is_no_filter_is_rejected(broker: Broker, topic_filter: str) -> None:
    with pytest.raises(Rejected, match=r"filter"):
        broker.subscribe(topic_filter, Inbox())


def test_the_longest_topic_and_the_largest_payload_pass(broker: Broker) -> None:
    inbox, topic = Inbox(), "/" * 7 + "a" * 249
    broker.subscribe(topic, inbox)
    broker.publish(topic, b"x" * PAYLOAD_BYTES)
    assert len(inbox.messages) == 1
    with pytest.raises(Rejected, match="131073 bytes"):
        broker.publish(topic, b"x" * (PAYLOAD_BYTES + 1))
    with pytest.raises(Rejected, match="quality of service is 2"):
        broker.publish(topic, b"", qos=2)


# ---- The broker ------------------------------------------------------------------------------------------------------


def test_every_subscriber_of_a_topic_gets_a_message_until_it_leaves(broker: Broker) -> None:
    one, other, stranger = Inbox(), Inbox(), Inbox()
    broker.subscribe("a/+", one)
    leaving = broker.subscribe("a/b", other)
    broker.subscribe("c", stranger)
    broker.publish("a/b", b"1")
    leaving.close()
    leaving.close()
    broker.publish("a/b", b"2")
    assert one.messages == [("a/b", b"1"), ("a/b", b"2")]
    assert other.messages == [("a/b", b"1")]
    assert stranger.messages == []


def test_a_receiver_that_fails_keeps_the_message_from_nobody(broker: Broker) -> None:
    inbox = Inbox()

    def fail(topic: str, payload: bytes) -> None:
        raise RuntimeError(topic, payload)

    broker.subscribe("a", fail)
    broker.subscribe("a", inbox)
    broker.publish("a", b"1")
    assert inbox.messages == [("a", b"1")]


def test_at_least_once_may_be_twice(broker: Broker) -> None:
    inbox = Inbox()
    broker.subscribe("a", inbox)
    broker.copies = 2
    broker.publish("a", b"once")
    broker.publish("a", b"twice", qos=1)
    assert [payload for _, payload in inbox.messages] == [b"once", b"twice", b"twice"]


# ---- Links -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def link(broker: Broker) -> Link:
    return Link(broker, "reef")


@pytest.fixture
def inbox(broker: Broker) -> Inbox:
    """Gets everything that reaches the broker."""
    inbox = Inbox()
    broker.subscribe("#", inbox)
    return inbox


def into(acknowledged: list[str], name: str) -> Callable[[], None]:
    return lambda: acknowledged.append(name)


def test_only_messages_of_qos_1_are_acknowledged(link: Link, inbox: Inbox) -> None:
    heard: list[str] = []
    link.publish("a", b"0", acknowledged=into(heard, "0"))
    link.publish("a", b"1", qos=1, acknowledged=into(heard, "1"))
    assert [payload for _, payload in inbox.messages] == [b"0", b"1"]
    assert heard == ["1"]


def test_a_link_that_is_down_takes_nothing_and_brings_nothing(broker: Broker, link: Link) -> None:
    own = Inbox()
    ups: list[bool] = []
    link.watch(ups.append)
    link.subscribe("a", own)
    link.cut()
    link.cut()
    for attempt in (lambda: link.publish("a", b""), lambda: link.subscribe("a", own)):
        with pytest.raises(ConnectionError, match="its link is down"):
            attempt()
    broker.publish("a", b"unheard")
    link.restore()
    broker.publish("a", b"heard")
    assert own.messages == [("a", b"heard")]
    assert ups == [False, True]


def test_held_acknowledgements_come_when_they_are_released(link: Link, inbox: Inbox) -> None:
    heard: list[str] = []
    link.hold_acknowledgements()
    link.publish("a", b"1", qos=1, acknowledged=into(heard, "1"))
    assert (len(inbox.messages), heard) == (1, [])
    link.release()
    link.publish("a", b"2", qos=1, acknowledged=into(heard, "2"))
    assert heard == ["1", "2"]


def test_held_messages_arrive_in_their_order(link: Link, inbox: Inbox) -> None:
    heard: list[str] = []
    link.hold_messages()
    for name in "123":
        link.publish("a", name.encode(), qos=1, acknowledged=into(heard, name))
    assert (inbox.messages, heard) == ([], [])
    link.release()
    assert [payload for _, payload in inbox.messages] == [b"1", b"2", b"3"]
    assert heard == ["1", "2", "3"]


def test_what_is_under_way_when_the_link_breaks_is_gone(link: Link, inbox: Inbox) -> None:
    heard: list[str] = []
    link.hold_acknowledgements()
    link.publish("a", b"had by the broker", qos=1, acknowledged=into(heard, "1"))
    link.hold_messages()
    link.publish("a", b"had by nobody", qos=1, acknowledged=into(heard, "2"))
    link.cut()
    link.restore()
    link.release()
    assert [payload for _, payload in inbox.messages] == [b"had by the broker"]
    assert heard == []


def test_a_topic_with_a_wildcard_breaks_the_connection_for_a_moment(link: Link) -> None:
    ups: list[bool] = []
    link.watch(ups.append)
    with pytest.raises(ConnectionError, match="wildcard"):
        link.publish("a/#", b"")
    assert ups == [False, True]
    assert link.up


def test_who_answers_a_message_over_the_same_link_keeps_the_order(broker: Broker, link: Link, inbox: Inbox) -> None:
    link.subscribe("ask", lambda _, payload: link.publish("answer", payload))
    link.publish("ask", b"1")
    broker.publish("ask", b"2")
    assert [payload for topic, payload in inbox.messages if topic == "answer"] == [b"1", b"2"]
