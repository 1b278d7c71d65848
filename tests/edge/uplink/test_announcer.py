"""Alerts for the components beside this one."""

from collections.abc import Mapping
from typing import Any

import pytest
from classifier.clock import ManualClock
from classifier.uplink.announcer import IDLE_SECONDS, STALE_SECONDS, TOPIC, Announcer
from classifier.uplink.nucleus import NotSent, Nucleus

from tests.edge.uplink.cloud import alert
from tests.offline.ipc.nucleus import LIGHT, Device, Events


class Beside:
    """A nucleus that takes messages while it is `up`."""

    def __init__(self) -> None:
        self.up, self.told = True, list[Mapping[str, Any]]()

    def publish_locally(self, topic: str, message: Mapping[str, Any]) -> None:
        assert topic == TOPIC
        if not self.up:
            raise NotSent("ServiceError", certain=True)
        if message.get("long"):
            raise ValueError("too long")
        self.told.append(message)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_lamp_beside_the_camera_is_told_without_any_link(
    device: Device, nucleus: Nucleus, clock: ManualClock
) -> None:
    lamp = Events()
    device.connect(LIGHT).subscribe_to_topic(topic=TOPIC, on_stream_event=lamp)
    device.link.cut()
    announcer = Announcer(nucleus, clock)
    announcer.tell(alert().body)
    assert announcer.step() == IDLE_SECONDS
    assert lamp.next().json_message.message == alert().body


def test_alerts_are_told_in_order_once_there_is_somebody_to_tell(clock: ManualClock) -> None:
    beside = Beside()
    announcer = Announcer(beside, clock)
    beside.up = False
    announcer.tell({"number": 1})
    assert announcer.step() < 1.0
    announcer.tell({"number": 2})
    beside.up = True
    announcer.step()
    announcer.step()
    assert beside.told == [{"number": 1}, {"number": 2}]


def test_nobody_acts_on_an_animal_that_is_gone(clock: ManualClock) -> None:
    beside = Beside()
    announcer = Announcer(beside, clock)
    announcer.tell({"number": 1})
    clock.advance(STALE_SECONDS + 1)
    announcer.tell({"number": 2})
    announcer.step()
    assert beside.told == [{"number": 2}]
    assert announcer.missed == 1


def test_an_alert_that_cannot_be_told_holds_up_no_other(clock: ManualClock) -> None:
    beside = Beside()
    announcer = Announcer(beside, clock)
    announcer.tell({"long": True})
    announcer.tell({"number": 2})
    announcer.step()
    assert beside.told == [{"number": 2}]


def test_a_nucleus_that_is_gone_for_long_does_not_fill_the_memory(clock: ManualClock) -> None:
    beside = Beside()
    announcer = Announcer(beside, clock)
    for number in range(10_000):
        announcer.tell({"number": number})
    announcer.step()
    assert beside.told[-1] == {"number": 9_999}
    assert len(beside.told) == 100
