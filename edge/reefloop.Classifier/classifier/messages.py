"""The wire format between a device and the cloud: one file, the same on both ends byte for byte.

A batch holds consecutive records of one stream, that is of one kind from one start of the component. On the wire it
is a byte with the version, then raw deflate (RFC 1951, with a preset dictionary) of the JSON array

    [thing, boot, kind, base, first sequence number, [[at, body], [milliseconds later, body], ...]]

`base` is the lowest number of the stream that may still come: what is below it and never came was evicted on the
device, and nobody need wait for it. The cloud answers with the highest number up to which it has all that can come.
"""

import json
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

VERSION: Final = 1
KINDS: Final = ("alert", "health", "summary")
"""In order of priority."""
MAXIMUM_BYTES: Final = 4_800
"""Of a payload: the nucleus lite drops inbound packets over 5,000 bytes and takes few outbound ones at once."""
MAXIMUM_RECORDS: Final = 100
LAST_AT: Final = 9_999_999_999_999
LAST_SEQ: Final = 9_999_999_999
"""The widths of both in the keys of the cloud's table."""

_INFLATED: Final = 65_536
_LONGEST_THING: Final = 128
_WINDOW: Final = -15  # raw deflate: MQTT over TLS has its own sums
_BOOT: Final = re.compile(r"\d{13}-[0-9a-f]{8}")
# https://docs.aws.amazon.com/iot/latest/apireference/API_CreateThing.html
_THING: Final = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
# Part of the version: a single byte changed here is another VERSION. What is most frequent stands last.
_DICTIONARY: Final = (
    b'{"model":{"version":"r","target":"linux-arm64","runtime":"onnxruntime-portable","self_test":"failed","reason":"'
    b'"self_test":"none","reason":""},"frames_per_second":2.0,"latency_ms":{"p50":1,"p99":1,"max":1},"temperature_c":'
    b'null,"queue":0,"spool":{"records":0,"frames":0,"bytes":65536,"place":"memory","reason":"","place":"disk",'
    b'"reason":""},"dropped":0,"unreadable":0,"evicted":{"alert":0,"health":0,"summary":0,"frame":0},"sent":{"hour":'
    b'0,"day":0,"hour_budget":1000000,"day_budget":10000000},"disk_free_mib":1000,"memory_mib":200,"restarts":{},'
    b'"clock_jumps":0,"configuration":"","uptime_seconds":900}]]],"self_test":"passed","reason":""},'
    b'"alert",1,1,[[18{"species":"","probability":0.99,"frames":2,"visit_seconds":0.5,"model":"r1-'
    b'"summary",1,1,[[18{"seconds":300.0,"frames":600,"unreadable":0,"dropped":0,"model":"r1-","species":{"":{"visits":'
    b'1,"frames":1,"seconds":0.0,"best":0.9},"":{"visits":2,"frames":3,"seconds":1.5,"best":0.99}},"unknown":0,'
    b'"review":0,"audit":1}],[300000,{"seconds":300.0,"frames":600,"unreadable":0,"dropped":0,"model":"r1-'
)


class Malformed(Exception):
    """Bytes that are no message, or a body that its kind does not allow; the message says where and why."""


class UnknownVersion(Malformed):
    """A message of a version that this side does not speak."""


@dataclass(frozen=True)
class Record:
    """One message of a stream. `at` is in milliseconds since 1970 by the device's clock; it never goes back."""

    seq: int
    at: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """Consecutive records of one stream."""

    thing: str
    boot: str
    kind: str
    base: int
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Ack:
    """The cloud has every record of a stream up to `through` that can still come."""

    boot: str
    kind: str
    through: int


# --- what a value may be -------------------------------------------------------------------------------------------

_Check = Callable[[Any, str], None]


def _refuse(where: str, value: object, allowed: str) -> None:
    raise Malformed(f"{where} is {str(value)[:80]!r}; it must be {allowed}")


def _number(least: float, most: float) -> _Check:
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            _refuse(where, value, f"a number from {least:g} to {most:g}")

    return check


def _whole(least: int, most: int) -> _Check:
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            _refuse(where, value, f"a whole number from {least} to {most}")

    return check


def _text(length: int) -> _Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or len(value) > length:
            _refuse(where, value, f"a text of at most {length} characters")

    return check


def _one_of(*allowed: str) -> _Check:
    def check(value: Any, where: str) -> None:
        if value not in allowed:
            _refuse(where, value, "one of " + ", ".join(allowed))

    return check


def _match(pattern: re.Pattern[str]) -> _Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            _refuse(where, value, f"a text like {pattern.pattern}")

    return check


def _nullable(inner: _Check) -> _Check:
    return lambda value, where: None if value is None else inner(value, where)


def _each(inner: _Check) -> _Check:
    """A table from names to values of one sort."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            _refuse(where, value, "a table")
        for name, each in value.items():
            _LABEL(name, f"a name in {where}")
            inner(each, f"{where}.{name}")

    return check


def _fields(**known: _Check) -> _Check:
    """All of these, and whatever else: a newer device is not refused for a field more. A field added later must
    therefore be checked only where it is there, or the newer cloud would refuse an older device."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            _refuse(where, value, "a table")
        for name, inner in known.items():
            if name not in value:
                raise Malformed(f"{where}.{name} is missing")
            inner(value[name], f"{where}.{name}")

    return check


_LABEL: Final = _text(128)
_COUNT: Final = _whole(0, 10**15)
_AMOUNT: Final = _number(0, 1e15)
_SHARE: Final = _number(0, 1)
_SEQ: Final = _whole(1, LAST_SEQ)
_AT: Final = _whole(0, LAST_AT)

BODIES: Final[Mapping[str, _Check]] = {
    "alert": _fields(species=_LABEL, probability=_SHARE, frames=_COUNT, visit_seconds=_AMOUNT, model=_LABEL),
    "health": _fields(
        model=_fields(
            version=_LABEL,
            target=_LABEL,
            runtime=_LABEL,
            self_test=_one_of("passed", "failed", "none"),
            reason=_text(2000),
        ),
        frames_per_second=_AMOUNT,
        latency_ms=_fields(p50=_AMOUNT, p99=_AMOUNT, max=_AMOUNT),
        temperature_c=_nullable(_number(-300, 10_000)),
        queue=_COUNT,
        spool=_fields(records=_COUNT, frames=_COUNT, bytes=_COUNT, place=_one_of("disk", "memory"), reason=_text(2000)),
        dropped=_COUNT,
        unreadable=_COUNT,
        evicted=_each(_COUNT),
        sent=_fields(hour=_COUNT, day=_COUNT, hour_budget=_COUNT, day_budget=_COUNT),
        disk_free_mib=_AMOUNT,
        memory_mib=_AMOUNT,
        restarts=_each(_COUNT),
        clock_jumps=_COUNT,
        configuration=_text(2000),
        uptime_seconds=_AMOUNT,
    ),
    "summary": _fields(
        seconds=_AMOUNT,
        frames=_COUNT,
        unreadable=_COUNT,
        dropped=_COUNT,
        model=_LABEL,
        species=_each(_fields(visits=_COUNT, frames=_COUNT, seconds=_AMOUNT, best=_SHARE)),
        unknown=_COUNT,
        review=_COUNT,
        audit=_COUNT,
    ),
}


def check(kind: str, body: object) -> None:
    """Whether a body is what its kind allows.

    Raises:
        Malformed: naming the first field that is not.
    """
    _one_of(*KINDS)(kind, "the kind")
    BODIES[kind](body, kind)


# --- bytes ---------------------------------------------------------------------------------------------------------


def encode(value: object) -> bytes:
    """Compact JSON.

    Raises:
        Malformed: a number that is not finite, a text that is no Unicode, a thing that JSON has not.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Malformed(f"not to be said in JSON: {error}") from None


def pack(batch: Batch) -> bytes:
    """A batch as a payload, which may be longer than MAXIMUM_BYTES: see `fit`.

    Raises:
        Malformed: the records are not consecutive, or a body is not what its kind allows.
    """
    _check_batch(batch)
    for record in batch.records:
        check(batch.kind, record.body)
    times = [record.at for record in batch.records]
    rows = [[at - before, record.body] for at, before, record in zip(times, [0, *times], batch.records, strict=False)]
    text = encode([batch.thing, batch.boot, batch.kind, batch.base, batch.records[0].seq, rows])
    deflate = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    return bytes([VERSION]) + deflate.compress(text) + deflate.flush()


def unpack(data: bytes) -> Batch:
    """The batch that a payload holds. Bodies are as they came, and any JSON: `check` each, so that one that is not
    right keeps none of the others back.

    Raises:
        UnknownVersion: of another version.
        Malformed: of this version, and not right.
    """
    if data[:1] != bytes([VERSION]):
        raise UnknownVersion(f"the payload begins with {data[:1]!r}; this side speaks version {VERSION}")
    if len(data) > MAXIMUM_BYTES:
        raise Malformed(f"the payload has {len(data)} bytes; at most {MAXIMUM_BYTES} are allowed")
    document = _decode(_inflate(data[1:]))
    if not isinstance(document, list) or len(document) != 6 or not isinstance(document[5], list):
        raise Malformed("the payload is no array of thing, boot, kind, base, first number and records")
    thing, boot, kind, base, first, rows = document
    _SEQ(first, "the first sequence number")
    records, at = [], 0
    for seq, row in enumerate(rows, first):
        if not isinstance(row, list) or len(row) != 2:
            raise Malformed(f"record {seq} is no pair of time and body")
        _AT(row[0], f"the time of record {seq}")
        at += row[0]
        records.append(Record(seq, at, row[1]))
    batch = Batch(thing, boot, kind, base, tuple(records))
    _check_batch(batch)
    return batch


def fit(thing: str, boot: str, kind: str, base: int, records: Sequence[Record]) -> tuple[bytes, int]:
    """A payload with as many of the records, from the first on, as MAXIMUM_BYTES allows, and how many that are.

    Raises:
        Malformed: the first record alone is too large. None that `fits` is.
    """
    count = min(len(records), MAXIMUM_RECORDS)
    while True:
        payload = pack(Batch(thing, boot, kind, base, tuple(records[:count])))
        if len(payload) <= MAXIMUM_BYTES:
            return payload, count
        if count == 1:
            raise Malformed(f"record {records[0].seq} has {len(payload)} bytes; at most {MAXIMUM_BYTES} are allowed")
        count = max(1, min(count - 1, count * MAXIMUM_BYTES // len(payload)))


def fits(kind: str, body: Mapping[str, Any]) -> None:
    """Whether a body is allowed and can be sent alone, whatever the thing's name.

    Raises:
        Malformed: it is not, or it is too large.
    """
    payload = pack(Batch("t", "0" * 13 + "-01234567", kind, LAST_SEQ, (Record(LAST_SEQ, LAST_AT, body),)))
    if len(payload) > MAXIMUM_BYTES - _LONGEST_THING:
        _refuse(f"the size of a packed {kind}", len(payload), f"at most {MAXIMUM_BYTES - _LONGEST_THING} bytes")


def pack_ack(ack: Ack) -> bytes:
    """An acknowledgement as the device gets it."""
    return encode({"v": VERSION, "boot": ack.boot, "kind": ack.kind, "through": ack.through})


def unpack_ack(data: bytes) -> Ack:
    """The acknowledgement that a payload holds.

    Raises:
        UnknownVersion: of another version.
        Malformed: of this version, and not right.
    """
    document = _decode(data)
    if not isinstance(document, dict):
        raise Malformed("the acknowledgement is no table")
    if document.get("v") != VERSION:
        raise UnknownVersion(f"the acknowledgement's version is {document.get('v')!r}; this side speaks {VERSION}")
    _ACK(document, "ack")
    return Ack(document["boot"], document["kind"], document["through"])


_ACK: Final = _fields(boot=_match(_BOOT), kind=_one_of(*KINDS), through=_whole(0, LAST_SEQ))


def _check_batch(batch: Batch) -> None:
    _match(_THING)(batch.thing, "the thing")
    _match(_BOOT)(batch.boot, "the boot")
    _one_of(*KINDS)(batch.kind, "the kind")
    _SEQ(batch.base, "the base")
    if not 1 <= len(batch.records) <= MAXIMUM_RECORDS:
        _refuse("the number of records", len(batch.records), f"from 1 to {MAXIMUM_RECORDS}")
    first, before = batch.records[0].seq, 0
    if first < batch.base:
        _refuse("the first sequence number", first, f"at least the base, {batch.base}")
    for seq, record in enumerate(batch.records, first):
        _SEQ(record.seq, "a sequence number")
        if record.seq != seq:
            _refuse("a sequence number", record.seq, f"{seq}, the next")
        _whole(before, LAST_AT)(record.at, f"the time of record {seq}")
        before = record.at


def _inflate(data: bytes) -> bytes:
    inflate = zlib.decompressobj(_WINDOW, _DICTIONARY)
    try:
        text = inflate.decompress(data, _INFLATED)
    except zlib.error as error:
        raise Malformed(f"the payload cannot be inflated: {error}") from None
    if not inflate.eof or inflate.unused_data:
        raise Malformed(f"the payload is cut off, has a tail or more than {_INFLATED} bytes inflated")
    return text


def _decode(text: bytes) -> Any:
    try:
        document = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from None
    encode(document)  # half a surrogate pair can be read, and then not be written anywhere
    return document


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number
