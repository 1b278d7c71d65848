"""What a device says reaches the table through the deployed rules and function, and the device hears of it."""

import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest

from offline.account import Account
from offline.device import CoreDevice
from reefloop.deployment import messages
from reefloop.deployment.messages import Ack, Batch, Record
from tests.any import any_body, any_boot, any_thing
from tests.workflow.deployed import Deployed, synthesize
from tests.workflow.in_flight import eventually


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The deployment stack and what it needs."""
    folder = tmp_path_factory.mktemp("records")
    with Account(folder / "account") as account:
        account.bootstrap()
        deployed = Deployed(account, {}, folder)
        deployed.deploy(synthesize(folder / "assembly"), "reefloop-deployment")
        yield deployed


class Radio:
    """A device's way to the broker, which lets through what its policies permit."""

    def __init__(self, device: CoreDevice) -> None:
        self.thing, self.link = device.thing, device.link
        self._heard: SimpleQueue[Ack] = SimpleQueue()
        device.link.subscribe(
            f"reefloop/{device.thing}/ack", lambda _, data: self._heard.put(messages.unpack_ack(data))
        )

    def send(self, kind: str, boot: str, *numbers: int, base: int = 1) -> None:
        now = int(time.time() * 1000)
        rows = tuple(Record(number, now + number, any_body(kind)) for number in numbers)
        payload = messages.pack(Batch(self.thing, boot, kind, base, rows))
        self.link.publish(f"reefloop/{self.thing}/{kind}", payload, qos=1)

    def heard(self) -> Ack:
        return self._heard.get(timeout=60)

    def has_heard_nothing(self) -> bool:
        try:
            self._heard.get(timeout=0.05)
        except Empty:
            return True
        return False


@pytest.fixture
def radio(deployment: Deployed) -> Radio:
    return Radio(deployment.device(any_thing()))


@pytest.mark.parametrize("kind", messages.KINDS)
def test_a_record_is_stored_and_acknowledged(deployment: Deployed, radio: Radio, kind: str) -> None:
    boot = any_boot()
    radio.send(kind, boot, 1, 2)
    assert radio.heard() == Ack(boot, kind, 2)
    found = deployment.devices.records(radio.thing, kind, days=1)
    assert [(one.boot, one.seq, one.body) for one in found] == [(boot, seq, any_body(kind)) for seq in (1, 2)]


def test_messages_that_overtake_each_other_are_acknowledged_up_to_the_last_in_the_end(
    deployment: Deployed, radio: Radio
) -> None:
    boot = any_boot()
    for first in (7, 1, 4, 1, 7):
        radio.send("summary", boot, *range(first, first + 3))
    assert max(radio.heard().through for _ in range(5)) == 9
    assert [one.seq for one in deployment.devices.records(radio.thing, "summary", days=1)] == list(range(1, 10))


def test_the_console_sees_the_newest_health_record(deployment: Deployed, radio: Radio) -> None:
    radio.send("health", any_boot(), 1)
    radio.heard()
    status = deployment.devices.status(radio.thing)
    assert status
    assert status.body == any_body("health")


def test_a_device_that_speaks_in_anothers_name_is_disconnected(deployment: Deployed, radio: Radio) -> None:
    other = Radio(deployment.device(any_thing()))
    thing, radio.thing = radio.thing, other.thing
    with pytest.raises(ConnectionError, match=f"no policy .* iot:Publish on topic/reefloop/{other.thing}/alert"):
        radio.send("alert", any_boot(), 1)
    radio.thing = thing
    assert other.has_heard_nothing()


def test_what_cannot_be_read_is_told_in_the_functions_log_and_to_nobody_else(
    deployment: Deployed, radio: Radio
) -> None:
    radio.link.publish(f"reefloop/{radio.thing}/alert", b"no message", qos=1)
    said = f"Unusable: a message of {radio.thing} cannot be read"
    functions = deployment.account.state.folder / "functions"
    eventually(lambda: any(said in log.read_text() for log in functions.glob("*/*.log")))
    assert radio.has_heard_nothing()
    assert deployment.devices.records(radio.thing, "alert", days=1) == []
