"""What leaves the device: kept while there is no link, reports before frames, nothing half."""

from pathlib import Path

from classifier.uplink import FIRST_RETRY_SECONDS, Outbox, Sent

from tests.edge.conftest import Cloud, Device
from tests.edge.model_packages import image


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_could_not_be_sent_goes_when_the_link_is_back(device: Device, cloud: Cloud) -> None:
    cloud.link = False
    device.deploy("m1")
    device.see("a.png", image("grey"))
    device.once()
    assert cloud.objects == {}
    cloud.link = True
    device.once()
    assert len(cloud.keys("images/")) == len(cloud.summaries) == 1
    assert cloud.status["self_test"] == "passed"


def test_reports_go_before_frames(tmp_path: Path, cloud: Cloud) -> None:
    outbox = Outbox(tmp_path / "outbox", cloud, clock=Clock())
    outbox.put("images/edge/reef-1/a.jpg", b"frame")
    outbox.put("devices/reef-1/status.json", b"{}")
    assert outbox.drain() == Sent(objects=2, frames=1, bytes=7)
    assert list(cloud.objects) == ["devices/reef-1/status.json", "images/edge/reef-1/a.jpg"]
    assert outbox.waiting() == []


def test_an_object_that_is_refused_does_not_hold_up_the_others(tmp_path: Path, cloud: Cloud) -> None:
    cloud.refuses = lambda key: key.endswith("a.jpg")
    outbox = Outbox(tmp_path / "outbox", cloud, clock=Clock())
    outbox.put("images/a.jpg", b"1")
    outbox.put("images/b.jpg", b"2")
    assert outbox.drain().objects == 1
    assert outbox.waiting() == ["images/a.jpg"]


def test_a_later_status_replaces_one_that_waits(tmp_path: Path, cloud: Cloud) -> None:
    outbox = Outbox(tmp_path / "outbox", cloud, clock=Clock())
    outbox.put("devices/reef-1/status.json", b"old")
    outbox.put("devices/reef-1/status.json", b"new")
    outbox.drain()
    assert cloud.objects == {"devices/reef-1/status.json": b"new"}


def test_after_a_failure_the_link_gets_a_growing_rest(tmp_path: Path, cloud: Cloud) -> None:
    clock, attempts = Clock(), []
    outbox = Outbox(tmp_path / "outbox", cloud, clock=clock)
    outbox.put("images/a.jpg", b"1")
    cloud.refuses = lambda key: bool(attempts.append(clock.now)) or True
    while clock.now < 60 * FIRST_RETRY_SECONDS:
        outbox.drain()
        clock.now += 0.1
    assert 5 <= len(attempts) <= 9
    assert attempts[-1] - attempts[-2] > 8 * FIRST_RETRY_SECONDS
    cloud.refuses = lambda key: False
    assert outbox.drain(now=True).objects == 1


def test_a_draft_that_a_power_cut_left_is_never_sent(tmp_path: Path, cloud: Cloud) -> None:
    outbox = Outbox(tmp_path / "outbox", cloud, clock=Clock())
    (tmp_path / "outbox" / "images").mkdir()
    (tmp_path / "outbox" / "images" / ".a.jpg").write_bytes(b"ha")
    outbox.drain()
    assert cloud.objects == {}
