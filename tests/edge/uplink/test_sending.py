"""The sender in its thread, over the real SDK, on both nuclei."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from classifier import spool as spools
from classifier.budget import Budget
from classifier.clock import SystemClock
from classifier.pipeline.stage import Stage
from classifier.spool import Spool, new_boot
from classifier.uplink.nucleus import Nucleus
from classifier.uplink.sender import LONGEST_PAUSE_SECONDS, Sender

from offline.device.ipc.mqtt import LITE_STORE_BYTES, LiteClient
from tests.edge.device import eventually
from tests.edge.uplink.cloud import THING, Cloud, alert, health, summary
from tests.edge.uplink.conftest import connected
from tests.offline.ipc.nucleus import SECONDS, Device

CLOCK = SystemClock()


def answer(device: Device) -> Cloud:
    """A cloud that keeps and acknowledges what reaches the broker of a device."""
    cloud = Cloud()
    for kind in ("alert", "health", "summary"):
        device.broker.subscribe(
            f"reefloop/+/{kind}",
            lambda _, payload: device.broker.publish(f"reefloop/{THING}/ack", cloud.take(payload), qos=1),
        )
    return cloud


class Component:
    """What a process of the component has of the uplink."""

    def __init__(self, spool: Spool, nucleus: Nucleus) -> None:
        self.spool, self.nucleus = spool, nucleus
        budget = Budget(spool, CLOCK, per_hour=1_000_000, per_day=10_000_000)
        self.stage = Stage(
            "sender",
            lambda _: Sender(nucleus, spool, budget, CLOCK, THING, wake=self.wake),
            clock=CLOCK,
            limit_seconds=60.0,
        )

    def wake(self) -> None:
        self.stage.wake()


@contextmanager
def running(device: Device, folder: Path) -> Iterator[Component]:
    spool = spools.open(folder / "spool", clock=CLOCK, boot=new_boot(CLOCK), max_bytes=1 << 24)
    component = Component(spool, connected(device))
    component.stage.start()
    yield component
    component.stage.stop()
    assert component.stage.join(SECONDS)
    component.nucleus.close()
    spool.close()


def test_an_alert_does_not_wait_for_the_end_of_the_senders_pause(device: Device, tmp_path: Path) -> None:
    answer(device)
    came = threading.Semaphore(0)
    device.broker.subscribe("reefloop/+/alert", lambda *_: came.release())
    took = []
    with running(device, tmp_path) as component:
        for number in range(15):
            eventually(lambda: component.spool.depth().records == 0)
            component.spool.add([summary(), alert(number)])
            started = time.monotonic()
            component.wake()
            assert came.acquire(timeout=SECONDS)
            took.append(time.monotonic() - started)
    assert statistics.median(took) < LONGEST_PAUSE_SECONDS / 5


def test_a_component_that_starts_without_a_link_sends_everything_once_there_is_one(
    device: Device, tmp_path: Path
) -> None:
    cloud = answer(device)
    device.link.cut()
    with running(device, tmp_path) as component:
        component.spool.add([alert(1), summary(), health(), alert(2)])
        component.wake()
        eventually(lambda: component.stage.trouble == "" and component.spool.depth().records == 4)
        device.link.restore()
        eventually(lambda: component.spool.depth().records == 0)
    assert sorted(cloud.numbers("alert")) == [1, 2]


def test_what_a_nucleus_held_that_died_comes_from_the_next_process(device: Device, tmp_path: Path) -> None:
    cloud = answer(device)
    with running(device, tmp_path) as component:
        component.spool.add([alert(1)])
        component.wake()
        eventually(lambda: component.spool.depth().records == 0)
        device.link.hold_messages()
        component.spool.add([alert(2), summary()])
        component.wake()
        eventually(lambda: bool(device.link._waiting))
        device.nucleus.restart()
        device.link.release()
        assert component.nucleus.lost.wait(SECONDS)
        assert component.spool.depth().records == 2
    with running(device, tmp_path) as component:
        component.wake()
        eventually(lambda: component.spool.depth().records == 0)
    assert (cloud.numbers("alert"), cloud.numbers("summary")) == ([1, 2], [1])


def test_a_link_that_stands_still_never_fills_the_store_of_lite(lite: Device, tmp_path: Path) -> None:
    answer(lite)
    lite.link.hold_acknowledgements()
    client = lite.client
    assert isinstance(client, LiteClient)
    with running(lite, tmp_path) as component:
        for number in range(60):
            component.spool.add([health(f"{number * 7919:x}" * 100), alert(number), summary(number)])
            component.wake()
            time.sleep(0.005)
        eventually(lambda: bool(client._unacknowledged))
        held = sum(client._unacknowledged.values())
        lite.link.release()
        component.spool.add([alert()])
        component.wake()
        eventually(lambda: component.spool.depth().records == 0)
    assert held <= LITE_STORE_BYTES


def test_records_of_the_largest_size_pass_a_nucleus(device: Device, tmp_path: Path) -> None:
    cloud = answer(device)
    with running(device, tmp_path) as component:
        component.spool.add([health("".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(1000)))])
        component.wake()
        eventually(lambda: component.spool.depth().records == 0)
        assert not component.nucleus.lost.is_set()
    assert cloud.numbers("health") == [1]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR")
