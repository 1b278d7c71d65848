"""The wire format: both ends have the same, it is compact, and nothing that comes over the wire can do harm."""

import math
from pathlib import Path
from typing import Any

import pytest
from classifier import bodies, messages
from classifier.messages import Malformed, Record

from tests.edge.any_message import BOOT, any_alert, any_batch, any_body, any_health, any_records, any_summary

_REPOSITORY = Path(__file__).parents[2]
# Written once by pack: a change of the dictionary or the layout is another version.
_GOLDEN = (
    "018b065a929aa66b08f4aea1850102e81a241a2619251b8362122df2c0f2401b0d8d8c759023323fb924bfa0b4184b7c1a9a"
    "e08b50633d23642719e91a265ba61a18252629413d8b6e1130a9960313677106a655168616f8ac32d433c169556c2c00"
)


@pytest.mark.parametrize("name", ["messages.py", "bodies.py"])
def test_both_ends_have_the_same_file(name: str) -> None:
    device = _REPOSITORY / "edge" / "reefloop.Classifier" / "classifier" / name
    assert device.read_bytes() == (_REPOSITORY / "lambda" / "reefloop" / "deployment" / name).read_bytes()


@pytest.mark.parametrize("kind", messages.KINDS)
def test_a_batch_arrives_as_it_was_sent(kind: str) -> None:
    batch = any_batch(kind, 10, base=4, records=tuple(any_records(kind, 10, first=7)))
    assert messages.unpack(messages.pack(batch)) == batch


def test_a_payload_of_version_1_is_read_for_ever() -> None:
    payload = bytes.fromhex(_GOLDEN)
    assert messages.unpack(payload) == any_batch("alert", 2)


@pytest.mark.parametrize(("kind", "alone", "ten"), [("alert", 82, 230), ("health", 145, 215), ("summary", 145, 560)])
def test_a_record_takes_few_bytes_and_fewer_among_others(kind: str, alone: int, ten: int) -> None:
    assert len(messages.pack(any_batch(kind, 1))) <= alone
    assert len(messages.pack(any_batch(kind, 10))) <= ten


def test_text_of_any_language_arrives() -> None:
    batch = any_batch(records=(Record(1, 1, any_alert(species="Ὀκτώπους 🐙")),))
    assert messages.unpack(messages.pack(batch)) == batch


def test_a_field_that_this_side_does_not_know_is_kept() -> None:
    body = any_alert(depth_m=12.5, camera={"lens": ["wide", None, True]})
    assert messages.unpack(messages.pack(any_batch(records=(Record(1, 1, body),)))).records[0].body == body


# --- as many as fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "species"), [(1, 3), (30, 3), (100, 8), (250, 1), (60, 40)])
def test_as_many_records_go_as_fit(count: int, species: int) -> None:
    records = [Record(n, n, any_summary(n, species=species)) for n in range(1, count + 1)]
    payload, sent = messages.fit("reef-1", BOOT, "summary", 1, records)
    assert len(payload) <= messages.MAXIMUM_BYTES
    assert messages.unpack(payload).records == tuple(records[:sent])
    enough = min(count, messages.MAXIMUM_RECORDS)
    assert sent == enough or len(
        messages.pack(any_batch("summary", records=tuple(records[: sent + sent // 5 + 1])))
    ) > (messages.MAXIMUM_BYTES * 0.9)


def test_records_that_deflate_well_stay_within_what_is_inflated() -> None:
    records = [Record(n, n, any_health(configuration="x" * 1000)) for n in range(1, 101)]
    payload, sent = messages.fit("reef-1", BOOT, "health", 1, records)
    assert 1 <= sent < 100
    assert messages.unpack(payload).records == tuple(records[:sent])


def test_a_base_that_was_read_too_late_is_lowered() -> None:
    payload, _ = messages.fit("reef-1", BOOT, "alert", 9, any_records("alert", 3, first=7))
    assert messages.unpack(payload).base == 7


def test_what_fits_alone_can_be_sent_by_the_thing_of_the_longest_name() -> None:
    def body(count: int) -> dict[str, Any]:
        return any_alert(note=["".join(f"{n * 7919 % 1_000_003:x}" for n in range(count))])

    most = next(
        count
        for count in range(1000, 3000, 5)
        if len(messages.pack(any_batch(records=(Record(1, 1, body(count)),)))) > 4450
    )
    payload, _ = messages.fit("aZ9:_-" * 21, BOOT, "alert", 10**9, [Record(10**9, 10**12, body(most))])
    assert messages.fits("alert", body(most))
    assert 4450 < len(payload) <= messages.MAXIMUM_BYTES
    with pytest.raises(Malformed, match="at most 4500 can be sent"):
        messages.fits("alert", body(most + 200))


def test_a_record_that_alone_is_too_large_is_named() -> None:
    record = Record(8, 1, any_alert(note=[f"{math.sin(n)}" for n in range(600)]))
    with pytest.raises(Malformed, match=r"alert 8 has \d+ bytes; at most 4800 can be sent"):
        messages.fit("reef-1", BOOT, "alert", 8, [record])


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("alert", {"species": 7}, "alert.species is '7'; it must be a text of at most 128 characters"),
        ("alert", {"species": "x" * 129}, "alert.species"),
        ("alert", {"probability": 1.01}, "alert.probability is '1.01'; it must be a number from 0 to 1"),
        ("alert", {"probability": True}, "alert.probability"),
        ("alert", {"probability": math.nan}, "alert.probability is 'nan'; it must be a finite number"),
        ("alert", {"frames": 2.5}, "alert.frames is '2.5'; it must be a whole number"),
        ("alert", {"frames": 10**16}, "at most 15 digits"),
        ("alert", {"note": "\ud800"}, "half a surrogate pair"),
        ("alert", {"note": {1: 2}}, "a name in alert.note"),
        ("alert", {"note": b"bytes"}, "alert.note is 'bytes'"),
        ("health", {"model": None}, "health.model is 'None'; it must be a table"),
        ("health", {"model": {"version": "1"}}, "health.model.target is missing"),
        ("health", {"evicted": {"alert": -1}}, "health.evicted.alert is '-1'"),
        ("health", {"spool": any_health()["spool"] | {"place": "moon"}}, "one of disk, memory"),
        ("health", {"temperature_c": "warm"}, "health.temperature_c"),
        ("summary", {"species": {"crab": {"visits": 1}}}, "summary.species.crab.frames is missing"),
        ("summary", {"species": []}, "summary.species is '\\[\\]'; it must be a table"),
    ],
)
def test_a_body_that_its_kind_does_not_allow_is_refused(kind: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        messages.fits(kind, any_body(kind) | change)


def test_a_body_that_is_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Malformed, match="nested more than 12 deep"):
        messages.fits("alert", any_alert(note=endless))


@pytest.mark.parametrize("kind", messages.KINDS)
def test_no_field_may_lack(kind: str) -> None:
    for name in any_body(kind):
        with pytest.raises(Malformed, match=f"{kind}.{name} is missing"):
            bodies.check(kind, {key: value for key, value in any_body(kind).items() if key != name})


def test_a_temperature_may_be_unknown() -> None:
    messages.fits("health", any_health(temperature_c=None))
