"""What devices send is kept once and acknowledged up to the first gap, in whatever order and how often it comes."""

import base64
import json
import math
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto.iotdata.models import iotdata_backends

from offline.state import ACCOUNT_ID
from reefloop import clients, contracts
from reefloop.deployment import ingest, messages
from reefloop.deployment.ingest import Event, Unusable
from reefloop.deployment.messages import Ack, Batch, Record
from reefloop.deployment.records import contiguous
from tests.any import any_body, any_boot, any_thing
from tests.handlers.account import RECORDS, REGION, Account
from tests.handlers.interleaving import interleave

FIRST_AT = 1_795_000_000_000


def event(batch: Batch) -> Event:
    """What the topic rule makes of a message."""
    return {"data": base64.b64encode(messages.pack(batch)).decode(), "thing": batch.thing}


def any_batch(thing: str, *numbers: int, kind: str = "summary", boot: str = "", base: int = 1, **body: Any) -> Batch:
    """Records of these numbers, each a second after the one before."""
    rows = tuple(Record(number, FIRST_AT + 1000 * number, any_body(kind, **body)) for number in numbers)
    return Batch(thing, boot or any_boot(), kind, base, rows)


def send(batch: Batch) -> Ack:
    """Let the function have a batch; returns what it answered."""
    ingest.handler(event(batch), None)
    topic, payload = published()[-1]
    assert topic == f"reefloop/{batch.thing}/ack"
    return messages.unpack_ack(payload)


def published() -> list[tuple[str, bytes]]:
    return list(iotdata_backends[ACCOUNT_ID][REGION].published_payloads)


@pytest.fixture
def thing(account: Account) -> str:
    assert account
    return any_thing()


# ---- What is kept ----------------------------------------------------------------------------------------------------


def test_every_record_of_a_batch_is_kept_as_it_came(account: Account, thing: str) -> None:
    batch = any_batch(thing, 1, 2, 3)
    assert send(batch) == Ack(batch.boot, "summary", 3)
    found = account.stored(thing)
    assert [(one.kind, one.boot, one.seq) for one in found] == [("summary", batch.boot, n) for n in (1, 2, 3)]
    assert [(one.at, one.body) for one in found] == [(record.at, record.body) for record in batch.records]
    assert not any(one.invalid for one in found)


def test_a_record_expires_after_the_days_that_the_settings_say(account: Account, thing: str) -> None:
    batch = any_batch(thing, 1)
    send(batch)
    for name, item in account.items(thing).items():
        assert int(item["expires_at"]["N"]) == pytest.approx(
            account.stored(thing)[0].received_at / 1000 + 90 * 86_400, abs=2
        ), name


def test_what_comes_twice_is_kept_once_and_acknowledged_twice(account: Account, thing: str) -> None:
    batch = any_batch(thing, 1, 2)
    assert send(batch) == send(batch) == Ack(batch.boot, "summary", 2)
    assert [one.seq for one in account.stored(thing)] == [1, 2]


def test_a_repetition_changes_nothing_of_what_is_kept(account: Account, thing: str) -> None:
    boot = any_boot()
    send(any_batch(thing, 1, boot=boot, frames=7))
    before = account.items(thing)
    send(any_batch(thing, 1, boot=boot, frames=8))
    assert account.items(thing) == before


def test_kinds_and_starts_of_the_component_are_counted_apart(account: Account, thing: str) -> None:
    first, second = any_boot(), any_boot()
    send(any_batch(thing, 1, 2, boot=first))
    assert send(any_batch(thing, 1, kind="alert", boot=first)) == Ack(first, "alert", 1)
    assert send(any_batch(thing, 1, boot=second)) == Ack(second, "summary", 1)
    assert len(account.stored(thing)) == 4


# ---- How far a stream has come ---------------------------------------------------------------------------------------


def test_only_what_has_no_gap_before_it_is_acknowledged(thing: str) -> None:
    boot = any_boot()
    assert send(any_batch(thing, 3, 4, boot=boot)).through == 0
    assert send(any_batch(thing, 1, boot=boot)).through == 1
    assert send(any_batch(thing, 6, boot=boot)).through == 1
    assert send(any_batch(thing, 2, boot=boot)).through == 4
    assert send(any_batch(thing, 5, boot=boot)).through == 6


def test_nobody_waits_for_what_a_device_has_evicted(account: Account, thing: str) -> None:
    boot = any_boot()
    assert send(any_batch(thing, 1, 2, boot=boot)).through == 2
    assert send(any_batch(thing, 9, 10, boot=boot)).through == 2
    assert send(any_batch(thing, 8, boot=boot, base=7)).through == 6
    assert send(any_batch(thing, 8, boot=boot, base=8)).through == 10
    assert [one.seq for one in account.stored(thing)] == [1, 2, 8, 9, 10]


def test_a_message_that_was_under_way_for_long_takes_nothing_back(account: Account, thing: str) -> None:
    boot = any_boot()
    assert send(any_batch(thing, 5, boot=boot, base=5)).through == 5
    assert send(any_batch(thing, 2, boot=boot, base=1)).through == 5
    assert [one.seq for one in account.stored(thing)] == [2, 5]


def test_more_records_than_a_page_of_the_table_holds_are_counted(thing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = any_boot()
    for first in range(11, 111, 50):
        send(any_batch(thing, *range(first, first + 50), boot=boot))
    monkeypatch.setattr("moto.dynamodb.models.table.RESULT_SIZE_LIMIT", 2_000)
    assert send(any_batch(thing, *range(1, 11), boot=boot)).through == 110


@given(
    floor=st.integers(0, 5),
    there=st.sets(st.integers(1, 20)),
)
def test_contiguous_ends_before_the_first_number_that_is_missing(floor: int, there: set[int]) -> None:
    through = contiguous(floor, sorted(number for number in there if number > floor))
    assert set(range(floor + 1, through + 1)) <= there
    assert through + 1 not in there


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[int]]:
    """The numbers 1 to n cut into batches, some of them twice, in any order."""
    count = draw(st.integers(1, 8))
    cuts = sorted(draw(st.sets(st.integers(1, count))) | {count})
    batches = [list(range(first + 1, last + 1)) for first, last in zip([0, *cuts], cuts, strict=False)]
    again = draw(st.lists(st.sampled_from(batches), max_size=2))
    return draw(st.permutations(batches + again))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=deliveries())
def test_in_any_order_all_is_kept_once_and_acknowledged_in_the_end(account: Account, batches: list[list[int]]) -> None:
    thing, boot, there = any_thing(), any_boot(), set[int]()
    for numbers in batches:
        there |= set(numbers)
        assert send(any_batch(thing, *numbers, boot=boot)).through == contiguous(0, sorted(there))
    assert {one.seq for one in account.stored(thing)} == there == set(range(1, len(there) + 1))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=deliveries(), turns=st.lists(st.integers(0, 9), max_size=60))
@example(batches=[[1], [2]], turns=[0, 0, 1, 1, 0, 1])
def test_invocations_at_the_same_time_miss_nothing_between_them(
    account: Account, batches: list[list[int]], turns: list[int]
) -> None:
    """Every call to the table is a turn; the order of the turns is drawn."""
    thing, boot = any_thing(), any_boot()
    before = len(published())
    events = [event(any_batch(thing, *numbers, boot=boot)) for numbers in batches]
    answers: list[tuple[int, set[int]]] = []

    def invoke(one: Event) -> None:
        ingest.handler(one, None)

    def publish(**message: Any) -> None:
        there = {one.seq for one in account.stored(thing)}
        answers.append((messages.unpack_ack(message["payload"]).through, there))

    interleave([lambda one=one: invoke(one) for one in events], turns, publish)
    assert len(published()) == before
    count = max(number for numbers in batches for number in numbers)
    assert {one.seq for one in account.stored(thing)} == set(range(1, count + 1))
    assert max(through for through, _ in answers) == count
    for through, there in answers:
        assert set(range(1, through + 1)) <= there, "acknowledged before it was kept"


# ---- What is not right -----------------------------------------------------------------------------------------------


def packed_unchecked(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> Event:
    """A batch of a device that sends bodies which are not allowed."""
    with monkeypatch.context() as patch:
        patch.setattr(messages, "_check_bodies", lambda _: None)
        patch.setattr(messages, "_encode", lambda document: json.dumps(document).encode())
        return event(batch)


def test_a_record_that_is_not_right_is_kept_with_the_reason_and_holds_up_no_other(
    account: Account, thing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = any_body("summary")
    rows = [Record(1, FIRST_AT, good), Record(2, FIRST_AT, good | {"frames": -1}), Record(3, FIRST_AT, good)]
    batch = Batch(thing, any_boot(), "summary", 1, tuple(rows))
    ingest.handler(packed_unchecked(batch, monkeypatch), None)
    assert messages.unpack_ack(published()[-1][1]).through == 3
    reasons = [one.invalid for one in account.stored(thing)]
    assert reasons[0] == reasons[2] == ""
    assert reasons[1].startswith("summary.frames is '-1'; it must be a whole number")


@pytest.mark.parametrize("body", [None, "text", [1], {}, 10**400, math.inf, ["half a pair: \ud800"], {"\udfff": 1}])
def test_a_body_of_any_kind_of_json_is_kept(
    account: Account, thing: str, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(thing, any_boot(), "health", 1, (Record(1, FIRST_AT, body),))
    ingest.handler(packed_unchecked(batch, monkeypatch), None)
    (found,) = account.stored(thing)
    assert found.body == body
    assert found.invalid
    assert "status" not in account.items(thing)


def test_a_field_that_this_version_does_not_know_is_kept(account: Account, thing: str) -> None:
    send(any_batch(thing, 1, kind="alert", depth_m=12.5))
    assert account.stored(thing)[0].body["depth_m"] == 12.5


@pytest.mark.parametrize("data", [b"", b"\x02anything", b"\x01no deflate", b"\x01"])
def test_a_message_that_cannot_be_read_is_raised_and_not_acknowledged(
    account: Account, thing: str, data: bytes
) -> None:
    before = len(published())
    with pytest.raises(Unusable, match=f"a message of {thing} cannot be read"):
        ingest.handler({"data": base64.b64encode(data).decode(), "thing": thing}, None)
    assert account.items(thing) == {}
    assert len(published()) == before


def test_nobody_can_speak_in_the_name_of_another(account: Account, thing: str) -> None:
    other = any_thing()
    with pytest.raises(Unusable, match=f"on a topic of {other} says that it is of {thing}"):
        ingest.handler({**event(any_batch(thing, 1)), "thing": other}, None)
    assert account.items(thing) == account.items(other) == {}


def test_what_cannot_be_stored_is_not_acknowledged(thing: str) -> None:
    clients.dynamodb().delete_table(TableName=RECORDS)
    before = len(published())
    with pytest.raises(ClientError, match="ResourceNotFound"):
        ingest.handler(event(any_batch(thing, 1)), None)
    assert len(published()) == before


# ---- The newest health record ----------------------------------------------------------------------------------------


def health(thing: str, seq: int, at: int, version: str, boot: str) -> Batch:
    model = any_body("health")["model"] | {"version": version}
    return Batch(thing, boot, "health", seq, (Record(seq, at, any_body("health", model=model)),))


def status(account: Account, thing: str) -> str:
    version: str = json.loads(account.items(thing)["status"]["body"]["S"])["model"]["version"]
    return version


def test_a_device_has_the_status_of_its_newest_health_record(account: Account, thing: str) -> None:
    boot = any_boot()
    for seq, version in ((1, "older"), (3, "newest"), (2, "late"), (3, "again")):
        send(health(thing, seq, FIRST_AT, version, boot))
    assert status(account, thing) == "newest"


def test_of_two_starts_of_the_component_the_later_by_the_devices_clock_counts(account: Account, thing: str) -> None:
    first, second = any_boot(), any_boot()
    send(health(thing, 1, FIRST_AT + 5000, "newest", second))
    send(health(thing, 9, FIRST_AT + 4000, "late", first))
    assert status(account, thing) == "newest"


def test_a_clock_that_was_a_year_ahead_does_not_hold_the_status_for_a_year(account: Account, thing: str) -> None:
    first, second = any_boot(), any_boot()
    send(health(thing, 1, FIRST_AT + 366 * 86_400_000, "ahead", first))
    now = account.stored(thing)[0].received_at
    send(health(thing, 1, now + 1, "right", second))
    assert status(account, thing) == "right"


def test_a_status_does_not_expire(account: Account, thing: str) -> None:
    send(any_batch(thing, 1, kind="health"))
    assert "expires_at" not in account.items(thing)["status"]


# ---- People ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mails(account: Account, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    assert account
    sent: list[dict[str, str]] = []

    class Topic:
        def publish(self, **message: str) -> None:
            sent.append(message)

    monkeypatch.setenv("ALERTS_TOPIC", "arn:aws:sns:us-east-1:123456789012:alerts")
    monkeypatch.setattr(clients, "sns", Topic)
    return sent


def test_people_are_told_of_each_alert_once(thing: str, mails: list[dict[str, str]]) -> None:
    boot = any_boot()
    send(any_batch(thing, 1, kind="alert", boot=boot, species="shark"))
    send(any_batch(thing, 1, 2, kind="alert", boot=boot, species="shark"))
    first, second = mails
    assert first["Subject"] == f"an alert from {thing}"
    assert first["Message"].startswith("2026-11-18 11:06:41  shark, probability 93%, model r1-0a1b2c3d")
    assert second["Message"].count("shark") == 1
    assert second["Message"].startswith("2026-11-18 11:06:42")


def test_many_alerts_of_a_batch_are_one_mail(thing: str, mails: list[dict[str, str]]) -> None:
    send(any_batch(thing, 1, 2, 3, kind="alert"))
    (mail,) = mails
    assert mail["Subject"] == f"3 alerts from {thing}"
    assert mail["Message"].count("shark") == 3


@pytest.mark.parametrize("call", ["PutItem", "Query", "UpdateItem"])
def test_an_alert_that_was_kept_is_told_though_its_batch_fails_and_comes_again(
    thing: str, mails: list[dict[str, str]], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, calls, real = any_batch(thing, 1, 2, kind="alert"), list[str](), BaseClient._make_api_call

    def throttled(client: Any, name: str, arguments: Any) -> Any:
        calls.append(name)
        if name == call and calls.count(name) == (2 if call == "PutItem" else 1):
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, name)
        return real(client, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", throttled)
    with pytest.raises(ClientError, match="Throttling"):
        ingest.handler(event(batch), None)
    assert send(batch).through == 2
    assert sum(mail["Message"].count("shark") for mail in mails) == 2


def test_a_mail_is_one_that_sns_takes_whatever_a_device_says(mails: list[dict[str, str]]) -> None:
    thing = "r" * 128
    send(any_batch(thing, 1, kind="alert", species="shark\n2026-11-18 forged\x1b[2J\x00"))
    (mail,) = mails
    assert len(mail["Subject"]) < 100
    assert mail["Message"].count("\n") == 2
    assert mail["Message"].replace("\n", "").isprintable()


@pytest.mark.parametrize("kind", ["health", "summary"])
def test_nobody_is_told_of_anything_else(thing: str, mails: list[dict[str, str]], kind: str) -> None:
    send(any_batch(thing, 1, kind=kind))
    assert mails == []


def test_without_addresses_there_is_nobody_to_tell(
    thing: str, mails: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALERTS_TOPIC")
    assert send(any_batch(thing, 1, kind="alert")).through == 1
    assert mails == []


def test_the_kinds_of_records_are_those_of_the_wire() -> None:
    assert contracts.RECORDS == messages.KINDS
