"""What the console shows of devices is what the table of their records has."""

import time
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import pytest
from botocore.client import BaseClient
from rich.console import Console

from console.cli import main
from console.devices import Device, DeviceReader
from console.fleet import Report, troubles
from console.project import Project
from console.screen import Screen, device_rows
from offline.account import Account
from offline.services import greengrassv2
from offline.services.greengrassv2.records import Core
from reefloop.deployment import records
from reefloop.deployment.records import Stored
from tests.any import any_body, any_boot, any_round, any_thing


@dataclass
class Sea:
    """A project's devices and the table of what they said."""

    account: Account
    project: Project

    def say(
        self, thing: str, kind: str, seq: int, *, boot: str, days_ago: float = 0, invalid: str = "", **body: Any
    ) -> None:
        at = int((time.time() - days_ago * 86_400) * 1000)
        record = Stored(kind, boot, seq, at, at, any_body(kind, **body), invalid)
        self._put(thing, records.item(kind, boot, seq), record)
        if kind == "health" and not invalid:
            self._put(thing, records.STATUS, record)

    def _put(self, thing: str, name: str, record: Stored) -> None:
        item = records.key(thing, name) | records.write(record, expires_at=record.received_at)
        self.account.client("dynamodb").put_item(TableName=self.project.output("deployment", "RecordsTable"), Item=item)

    @property
    def reader(self) -> DeviceReader:
        return DeviceReader(self.account.client, self.project)

    def device(self) -> str:
        """The name of a new core device on which the base group's deployment has succeeded."""
        thing, group = any_thing(), self.project.output("deployment", "BaseGroup")
        iot, books = self.account.client("iot"), greengrassv2.backend("us-east-1")
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName=group, thingName=thing)
        books.register(Core(thing, "linux", "amd64", "aws_nucleus_lite", "2.5.1"))
        arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
        made = self.account.client("greengrassv2").create_deployment(targetArn=arn, components={})
        books.report_deployment(thing, books.deployment(made["deploymentId"]), "SUCCEEDED")
        return thing


@pytest.fixture
def sea(account: Account) -> Sea:
    name = any_round()
    group, table, bucket = f"base-{name}", f"records-{name}", f"data-{name}"
    account.client("iot").create_thing_group(thingGroupName=group)
    account.client("s3").create_bucket(Bucket=bucket)
    account.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("thing", "item")],
        KeySchema=[{"AttributeName": "thing", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
    )
    return Sea(
        account, Project({"deployment": {"BaseGroup": group, "RecordsTable": table}, "storage": {"DataBucket": bucket}})
    )


@pytest.fixture
def camera(sea: Sea) -> str:
    return sea.device()


def test_a_device_is_what_its_newest_health_record_and_its_last_day_say(sea: Sea, camera: str) -> None:
    boot = any_boot()
    sea.say(camera, "summary", 1, boot=boot, days_ago=1.5, frames=1)
    for seq in (2, 3):
        sea.say(camera, "summary", seq, boot=boot, frames=600)
    sea.say(camera, "alert", 1, boot=boot, species="turtle")
    sea.say(camera, "health", 1, boot=boot)
    (device,) = sea.reader.read()
    assert (device.thing, device.health) == (camera, "HEALTHY")
    assert (device.model_version, device.self_test, device.serves) == ("r1-0a1b2c3d", "passed", True)
    assert device.frames == 1200
    assert [alert.body["species"] for alert in device.alerts] == ["turtle"]


def test_a_device_that_said_nothing_yet_has_no_model(sea: Sea, camera: str) -> None:
    (device,) = sea.reader.read()
    assert device == Device(camera, "HEALTHY")
    assert [row.detail for row in device_rows([device])] == ["no model yet, 0 frames"]


def test_every_member_of_the_base_group_is_shown_and_nobody_else(sea: Sea, camera: str) -> None:
    iot, group = sea.account.client("iot"), sea.project.output("deployment", "BaseGroup")
    new, gone = any_thing(), sea.device()
    iot.create_thing(thingName=new)
    iot.add_thing_to_thing_group(thingGroupName=group, thingName=new)
    iot.remove_thing_from_thing_group(thingGroupName=group, thingName=gone)
    assert sea.reader.read() == sorted(
        (Device(camera, "HEALTHY"), Device(new, "never connected")), key=lambda one: one.thing
    )


def test_a_device_in_trouble_from_the_first_is_shown(sea: Sea) -> None:
    """Greengrass lists only those on which a deployment to the group has succeeded."""
    thing, group = any_thing(), sea.project.output("deployment", "BaseGroup")
    sea.account.client("iot").create_thing(thingName=thing)
    sea.account.client("iot").add_thing_to_thing_group(thingGroupName=group, thingName=thing)
    books = greengrassv2.backend("us-east-1")
    books.register(Core(thing, "linux", "amd64", "aws_nucleus_lite", "2.5.1", "UNHEALTHY"))
    assert sea.reader.read() == [Device(thing, "UNHEALTHY")]


@pytest.mark.parametrize(("recount_seconds", "counted"), [(0, 1200), (3600, 600)])
def test_a_picture_has_the_newest_status_and_counts_as_old_as_they_may_be(
    sea: Sea, camera: str, recount_seconds: float, counted: int
) -> None:
    reader = replace(sea.reader, recount_seconds=recount_seconds)
    boot = any_boot()
    sea.say(camera, "summary", 1, boot=boot, frames=600)
    reader.read()
    sea.say(camera, "summary", 2, boot=boot, frames=600)
    sea.say(camera, "health", 1, boot=boot)
    (device,) = reader.read()
    assert (device.self_test, device.frames) == ("passed", counted)


def test_records_are_read_from_the_newest_back_and_told_oldest_first(sea: Sea) -> None:
    thing, first, second = any_thing(), any_boot(), any_boot()
    for boot, days in ((first, (9, 8, 3)), (second, (2, 1, 0))):
        for seq, days_ago in enumerate(days, 1):
            sea.say(thing, "summary", seq, boot=boot, days_ago=days_ago)
    found = sea.reader.records(thing, "summary", days=5)
    assert [(one.boot, one.seq) for one in found] == [(first, 3), (second, 1), (second, 2), (second, 3)]


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_a_start_while_the_clock_was_ahead_hides_none_of_what_came_later(
    sea: Sea, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("console.devices._PAGE", page)
    thing, right = any_thing(), any_boot()
    ahead, behind = "1895000000000-0a1b2c3d", "0000000000007-0a1b2c3d"
    sea.say(thing, "summary", 1, boot=ahead, days_ago=9)
    sea.say(thing, "summary", 2, boot=ahead, days_ago=4)
    for seq in (1, 2):
        sea.say(thing, "summary", seq, boot=behind, days_ago=1)
    sea.say(thing, "summary", 1, boot=right, days_ago=2)
    found = sea.reader.records(thing, "summary", days=3)
    assert [(one.boot, one.seq) for one in found] == [(right, 1), (behind, 1), (behind, 2)]
    found = sea.reader.records(thing, "summary", days=5)
    assert [(one.boot, one.seq) for one in found] == [(ahead, 2), (right, 1), (behind, 1), (behind, 2)]


def test_records_of_one_start_are_told_by_number_whenever_they_came(sea: Sea) -> None:
    thing, boot = any_thing(), any_boot()
    for seq, days_ago in ((1, 0.1), (2, 0.3), (3, 0.2)):
        sea.say(thing, "summary", seq, boot=boot, days_ago=days_ago)
    assert [one.seq for one in sea.reader.records(thing, "summary", days=1)] == [1, 2, 3]


def test_more_records_than_a_page_holds_are_all_read_and_little_of_what_is_older(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.devices._PAGE", 2)
    calls, real = list[str](), BaseClient._make_api_call

    def counted(client: Any, name: str, arguments: Any) -> Any:
        calls.append(name)
        return real(client, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    thing, boot = any_thing(), any_boot()
    for seq in range(1, 16):
        sea.say(thing, "summary", seq, boot=boot, days_ago=0 if seq > 10 else 2)
    assert [one.seq for one in sea.reader.records(thing, "summary", days=1)] == [11, 12, 13, 14, 15]
    assert calls.count("Query") == 4, "what is older was read"


def test_records_that_were_not_right_are_not_shown(sea: Sea) -> None:
    thing, boot = any_thing(), any_boot()
    sea.say(thing, "summary", 1, boot=boot)
    sea.say(thing, "summary", 2, boot=boot, invalid="summary.frames is missing")
    assert [one.seq for one in sea.reader.records(thing, "summary", days=1)] == [1]


def test_watching_shows_alerts_what_was_sent_and_what_waits(sea: Sea, camera: str) -> None:
    boot = any_boot()
    for seq in range(1, 8):
        sea.say(camera, "alert", seq, boot=boot, species=f"shark-{seq}")
    sea.say(camera, "summary", 1, boot=boot)
    sea.say(camera, "health", 1, boot=boot, evicted={"frame": 3}, uplink={"uploader": "a frame is too large"})
    device, *alerts = device_rows(sea.reader.read())
    assert device.line.endswith(
        "self-test passed, 600 frames, 0.01 MB of 1.00 MB sent in an hour, 3 records, 1 frames wait, "
        "3 given up unsent, for want of space or budget, uploader: a frame is too large"
    )
    assert [row.status for row in alerts] == [f"shark-{seq}" for seq in range(3, 8)]
    assert alerts[0].detail.startswith("93.0% at 20")


def test_what_a_device_says_is_nothing_that_a_terminal_obeys(sea: Sea, camera: str) -> None:
    boot, obeyed = any_boot(), "\x1b]0;shark\x07\x1b[2J"
    sea.say(camera, "alert", 1, boot=boot, species=obeyed)
    sea.say(camera, "summary", 1, boot=boot, species={obeyed: {"visits": 1, "frames": 1, "seconds": 1, "best": 1}})
    sea.say(camera, "health", 1, boot=boot, configuration=obeyed, restarts={obeyed: 1})
    with StringIO() as terminal:
        with Screen(Console(file=terminal, force_terminal=True, color_system=None, width=200)) as screen:
            screen.show(list(device_rows(sea.reader.read())))
        for table in Report.read(sea.reader, days=1).tables():
            screen.print(table)
        told = terminal.getvalue()
    assert "shark" in told
    assert "\x1b]0" not in told
    assert "\x1b[2J" not in told


def test_what_somebody_should_look_into_is_told(camera: str) -> None:
    status = any_body(
        "health",
        configuration="alert_frames is 0",
        spool={"records": 0, "frames": 0, "bytes": 0, "place": "memory", "reason": "read-only"},
        restarts={"source": 2},
    )
    device = Device(camera, "HEALTHY", "r2", "failed", "crab.png is 'squid'", status=status)
    assert list(troubles(device)) == [
        "refused model r2: crab.png is 'squid'",
        "refused its configuration: alert_frames is 0",
        "its spool is in memory: read-only",
        "source restarted 2 times",
    ]


def text(report: Report) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for table in report.tables():
            console.print(table)
    return capture.get()


def test_the_report_adds_up_visits_over_devices_and_days(sea: Sea, camera: str) -> None:
    seen = {"visits": 2, "frames": 9, "seconds": 4.5, "best": 0.9}
    for thing in (camera, sea.device()):
        sea.say(thing, "summary", 1, boot=any_boot(), days_ago=3, species={"crab": seen, "shark": seen | {"best": 0.5}})
    sea.say(camera, "summary", 1, boot=any_boot(), species={"crab": seen | {"best": 0.99}})
    sea.say(camera, "health", 1, boot=any_boot())
    report = Report.read(sea.reader, days=7)
    species = report.species()
    assert {name: (one.visits, one.frames, one.best, len(one.things)) for name, one in species.items()} == {
        "crab": (6, 27, 0.99, 2),
        "shark": (4, 18, 0.5, 2),
    }
    (line,) = [line for line in text(report).splitlines() if line.startswith(camera)]
    cells = [cell.strip() for cell in line.split("│")]
    assert cells[2:8] == ["r1-0a1b2c3d", "1200", "0", "0.09 MB", "10.00 MB", "3 records, 1 frames"]
    assert not Report.read(sea.reader, days=0).species()


def test_the_report_shows_the_newest_alerts(sea: Sea, camera: str) -> None:
    boot = any_boot()
    for seq in range(1, 26):
        sea.say(camera, "alert", seq, boot=boot, days_ago=(25 - seq) / 1000, species=f"species-{seq}-")
    told = text(Report.read(sea.reader, days=7))
    assert "species-25-" in told
    assert "species-6-" in told
    assert "species-5-" not in told
    assert "and 5 before" in told


def test_the_command_says_that_the_field_accuracy_is_not_known(
    sea: Sea, camera: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("console.commands.report.clients", lambda _: sea.account.client)
    monkeypatch.setattr("console.commands.report.Project.find", lambda _: sea.project)
    assert main(["report", "--devices"]) == 0
    told = capsys.readouterr().out
    assert camera in told
    assert "the accuracy is not known" in " ".join(told.split())
