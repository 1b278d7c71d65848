"""What the demo sees of its cameras without asking their account."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from classifier import spool
from classifier.clock import ManualClock
from classifier.spool import Spool, Upload

from console.demo.fleet import Fleet
from console.project import Project
from offline.account import Account
from offline.broker import Broker

THING = "reef-north"


@dataclass
class Camera:
    """What the fleet knows of a device: where its files are."""

    root: Path

    def stop(self) -> None:
        """It never ran."""


@pytest.fixture
def fleet(account: Account, tmp_path: Path) -> Fleet:
    return Fleet(account.state, Project({}), cameras={THING: Camera(tmp_path)})  # type: ignore[dict-item]


@pytest.fixture
def waiting(tmp_path: Path) -> Spool:
    """The spool of that camera, open, as its classifier has it."""
    clock = ManualClock()
    folder = tmp_path / "work" / "reefloop.Classifier" / "spool"
    return spool.open(folder, clock=clock, boot=spool.new_boot(clock), max_bytes=2**20)


def test_a_camera_without_a_spool_has_nothing_to_send(fleet: Fleet) -> None:
    assert not fleet._waiting(THING)


def test_a_frame_in_the_spool_of_a_running_camera_has_still_to_be_sent(fleet: Fleet, waiting: Spool) -> None:
    assert not fleet._waiting(THING)
    waiting.add([Upload("images/edge/reef-north/1.jpg", b"pixels", {}, 1.0)])
    assert fleet._waiting(THING)
    upload = waiting.next_upload()
    assert upload is not None
    waiting.uploaded(upload.id)
    assert not fleet._waiting(THING)
    waiting.close()


def test_a_spool_that_cannot_be_read_just_now_is_looked_at_again(fleet: Fleet, waiting: Spool, tmp_path: Path) -> None:
    waiting.close()
    (tmp_path / "work" / "reefloop.Classifier" / "spool" / "spool.db").write_bytes(b"half a page")
    assert fleet._waiting(THING)


def test_bytes_of_messages_are_those_of_the_camera_that_published_them(fleet: Fleet) -> None:
    broker = fleet.state.only(Broker)
    with fleet:
        broker.publish(f"reefloop/{THING}/alert", b"y" * 80, qos=1, client=THING)
        broker.publish(f"reefloop/{THING}/ack", b"w" * 900, qos=1, client="cloud")
    assert fleet.message_bytes[THING] == len(f"reefloop/{THING}/alert") + 80
