"""Nothing that comes over the wire can do harm: it is a message, or it is refused with its reason."""

import json
import math
import zlib
from functools import reduce
from typing import Any

import pytest
from classifier import messages
from classifier.messages import Ack, Batch, Malformed, UnknownVersion
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edge.any_message import BOOT, any_alert, any_batch, wire

_ROWS = [[1, {}]]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "no array of thing, boot"),
        ([1, 2, 3], "no array of thing, boot"),
        (["reef-1", BOOT, "alert", 1, 1, {}], "no array of thing, boot"),
        (["reef 1", BOOT, "alert", 1, 1, _ROWS], "the thing is 'reef 1'"),
        ([None, BOOT, "alert", 1, 1, _ROWS], "the thing"),
        (["reef-1", "yesterday", "alert", 1, 1, _ROWS], "the boot"),
        (["reef-1", BOOT, "frame", 1, 1, _ROWS], "the kind is 'frame'; it must be one of alert, health, summary"),
        (["reef-1", BOOT, ["alert"], 1, 1, _ROWS], "the kind"),
        (["reef-1", BOOT, "alert", 0, 1, _ROWS], "the base"),
        (["reef-1", BOOT, "alert", 2, 1, _ROWS], "the first sequence number is '1'; it must be at least the base, 2"),
        (["reef-1", BOOT, "alert", 1, "1", _ROWS], "the first sequence number"),
        (["reef-1", BOOT, "alert", 1, 9_999_999_999, _ROWS * 2], "a sequence number"),
        (["reef-1", BOOT, "alert", 1, 1, []], "the number of records is '0'"),
        (["reef-1", BOOT, "alert", 1, 1, _ROWS * 101], "the number of records is '101'"),
        (["reef-1", BOOT, "alert", 1, 1, [7]], "record 1 is no pair"),
        (["reef-1", BOOT, "alert", 1, 1, [[-1, {}]]], "the time of record 1"),
        (["reef-1", BOOT, "alert", 1, 1, [[9_999_999_999_999, {}], [1, {}]]], "the time of record 2"),
        (["reef-1", BOOT, "alert", 1, 1, [[math.inf, {}]]], "the time of record 1"),
        (["reef-1", BOOT, "alert", 1, 10**400, _ROWS], "the first sequence number"),
    ],
)
def test_what_is_no_batch_is_refused_with_its_reason(document: object, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        messages.unpack(wire(document))


@pytest.mark.parametrize(
    "rubbish",
    [
        "rubbish",
        math.nan,
        math.inf,
        any_alert(x=10**400),
        any_alert(x="half a pair: \ud800"),
        any_alert() | {"\udfff": 1},
        any_alert(x=[[[[[[[[[[[[[]]]]]]]]]]]]]),
    ],
)
def test_a_body_that_is_not_right_keeps_no_other_back(rubbish: object) -> None:
    batch = messages.unpack(wire(["reef-1", BOOT, "alert", 1, 1, [[1, rubbish], [1, any_alert()]]]))
    with pytest.raises(Malformed) as refused:
        messages.check("alert", batch.records[0].body)
    str(refused.value).encode()
    messages.check("alert", batch.records[1].body)


@pytest.mark.parametrize("depth", range(1, 16))
def test_what_a_device_takes_into_its_spool_can_be_read_in_the_cloud(depth: int) -> None:
    body = any_alert(x=reduce(lambda inner, _: [inner], range(depth), []))
    try:
        messages.fits("alert", body)
    except Malformed:
        return
    batch = any_batch(records=(messages.Record(1, 1, body),))
    assert messages.unpack(messages.pack(batch)) == batch


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_told_from_rubbish(version: int) -> None:
    with pytest.raises(UnknownVersion, match=f"version {version}; this side speaks version 1"):
        messages.unpack(wire([], version=version))


def test_a_bomb_is_not_inflated() -> None:
    with pytest.raises(Malformed, match="over 65536 bytes inflated"):
        messages.unpack(wire("0" * 1_000_000))


def test_a_payload_that_no_device_sends_is_not_looked_at() -> None:
    with pytest.raises(Malformed, match="at most 4800 are allowed"):
        messages.unpack(b"\x01" * 4801)


@pytest.mark.parametrize("text", ["[" * 60_000, "1" * 60_000, "\x00", '"\\ud800"', "NaN", "1e999", ""])
def test_json_that_breaks_parsers_is_refused(text: str) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=messages._DICTIONARY)
    with pytest.raises(Malformed):
        messages.unpack(b"\x01" + deflate.compress(text.encode()) + deflate.flush())


@given(data=st.binary(max_size=300), tail=st.booleans())
@settings(max_examples=300)
def test_any_bytes_are_a_batch_or_malformed(data: bytes, tail: bool) -> None:
    payload = messages.pack(any_batch())
    for garbled in (data, b"\x01" + data, payload[: len(data)] if tail else payload + data):
        try:
            messages.unpack(garbled)
        except Malformed:
            continue
        assert garbled == payload


@given(place=st.integers(1, 200), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_a_flipped_bit_is_a_batch_or_malformed(place: int, bit: int) -> None:
    payload = bytearray(messages.pack(any_batch()))
    payload[place % len(payload)] ^= 1 << bit
    try:
        batch = messages.unpack(bytes(payload))
    except Malformed:
        return
    assert isinstance(batch, Batch)


# --- acknowledgements -------------------------------------------------------------------------------------------------


def test_an_acknowledgement_arrives_as_it_was_sent() -> None:
    ack = Ack(BOOT, "alert", 17)
    assert json.loads(messages.pack_ack(ack)) == {"v": 1, "boot": BOOT, "kind": "alert", "through": 17}
    assert messages.unpack_ack(messages.pack_ack(ack)) == ack


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"boot": 5}, "the acknowledgement.boot"),
        ({"kind": "frame"}, "the acknowledgement.kind"),
        ({"through": -1}, "the acknowledgement.through"),
        ({"through": 1.5}, "the acknowledgement.through"),
        ({"through": 10**12}, "the acknowledgement.through"),
        ({"v": 2}, "version 2"),
    ],
)
def test_an_acknowledgement_that_is_not_right_is_refused(change: dict[str, Any], complaint: str) -> None:
    document = {"v": 1, "boot": BOOT, "kind": "alert", "through": 1} | change
    with pytest.raises(Malformed, match=complaint):
        messages.unpack_ack(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{}", b"\xff", b'{"v":1}', b"[" * 100_000, b'{"v":1,"x":1' + b"0" * 400 + b"}"]
)
def test_what_is_no_acknowledgement_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        messages.unpack_ack(data)
