"""The wire format between a device and the cloud: the same file on both ends, byte for byte.

A batch holds consecutive records of one stream, that is of one kind from one start of the component. On the wire it
is a byte with the version, then raw deflate (RFC 1951, with a preset dictionary) of the JSON array

    [thing, boot, kind, base, first sequence number, [[at, body], [milliseconds later, body], ...]]

`base` is the lowest number of the stream that may still come: what is below it and never came was evicted on the
device, and nobody need wait for it. The cloud answers with the highest number up to which it has all that can come.
"""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from . import bodies
from .bodies import KINDS, Malformed, check

__all__ = ["KINDS", "Ack", "Batch", "Malformed", "Record", "UnknownVersion", "check", "fit", "fits", "pack", "pack_ack"]
__all__ += ["unpack", "unpack_ack"]

VERSION: Final = 1
MAXIMUM_BYTES: Final = 4_800
"""Of a payload: the nucleus lite drops inbound packets over 5,000 bytes, and keeps 15,000 that are unacknowledged."""
MAXIMUM_INFLATED: Final = 65_536
MAXIMUM_RECORDS: Final = 100
LAST_AT: Final = 9_999_999_999_999
LAST_SEQ: Final = 9_999_999_999
"""As wide as both are in the keys of the cloud's table."""

_WINDOW: Final = -15  # raw deflate: TLS has its own sums
_BOOT: Final = re.compile(r"[0-9]{13}-[0-9a-f]{8}")
# https://docs.aws.amazon.com/iot/latest/apireference/API_CreateThing.html
_THING: Final = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_HEAD: Final = 300  # of the array without its records: no thing, kind or number makes it longer
_SEQ: Final = bodies.whole(1, LAST_SEQ)
_AT: Final = bodies.whole(0, LAST_AT)
_ACK: Final = bodies.fields(boot=bodies.match(_BOOT), kind=bodies.one_of(*KINDS), through=bodies.whole(0, LAST_SEQ))
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


def pack(batch: Batch) -> bytes:
    """A batch as a payload, which may be longer than MAXIMUM_BYTES: see `fit`.

    Raises:
        Malformed: the records are not consecutive, or a body is not what its kind allows.
    """
    _check(batch)
    _check_bodies(batch)
    return _deflate(_text(batch, len(batch.records)))


def fit(thing: str, boot: str, kind: str, base: int, records: Sequence[Record]) -> tuple[bytes, int]:
    """A payload with about as many of the records, from the first on, as it may hold, and how many they are.

    Bodies are not checked: they were when they came in, and what an older component let in must not wait for ever.

    Raises:
        Malformed: the records are not consecutive, or the first alone is too large, which none is that `fits`.
    """
    # A record may be acknowledged between the reading of both.
    base = min(base, records[0].seq)
    batch = Batch(thing, boot, kind, base, tuple(records[:MAXIMUM_RECORDS]))
    _check(batch)
    count = len(batch.records)
    while True:
        text = _text(batch, count)
        payload = _deflate(text)
        excess = max(len(payload) / MAXIMUM_BYTES, len(text) / MAXIMUM_INFLATED)
        if excess <= 1:
            return payload, count
        if count == 1:
            raise Malformed(f"{kind} {records[0].seq} has {len(payload)} bytes; at most {MAXIMUM_BYTES} can be sent")
        count = max(1, min(count - 1, int(count / excess)))


def fits(kind: str, body: Mapping[str, Any]) -> bytes:
    """A body as JSON, if it is allowed and can be sent alone whatever the thing's name.

    Raises:
        Malformed: it is not, or it is too large.
    """
    check(kind, body)
    text = _encode(body)
    most = MAXIMUM_BYTES - _HEAD
    if len(text) > MAXIMUM_INFLATED - _HEAD or (len(text) > most and len(_deflate(text)) > most):
        raise Malformed(f"the {kind} has {len(text)} bytes; at most {most} can be sent once they are packed")
    return text


def unpack(data: bytes) -> Batch:
    """The batch that a payload holds. Bodies are any JSON, as they came: `bodies.check` each, so that one that is not
    right keeps none of the others back.

    Raises:
        UnknownVersion: of another version.
        Malformed: of this version, and not right.
    """
    if not data:
        raise Malformed("the payload is empty")
    if data[0] != VERSION:
        raise UnknownVersion(f"the payload is of version {data[0]}; this side speaks version {VERSION}")
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
    _check(batch)
    return batch


def pack_ack(ack: Ack) -> bytes:
    """An acknowledgement as the device gets it."""
    return _encode({"v": VERSION, "boot": ack.boot, "kind": ack.kind, "through": ack.through})


def unpack_ack(data: bytes) -> Ack:
    """The acknowledgement that a payload holds.

    Raises:
        UnknownVersion: of another version.
        Malformed: of this version, and not right.
    """
    document = _decode(data)
    if not isinstance(document, dict) or "v" not in document:
        raise Malformed("the acknowledgement is no table with a version")
    if document["v"] != VERSION:
        raise UnknownVersion(f"the acknowledgement is of version {document['v']!r}; this side speaks {VERSION}")
    _ACK(document, "the acknowledgement")
    return Ack(document["boot"], document["kind"], document["through"])


def _check(batch: Batch) -> None:
    bodies.match(_THING)(batch.thing, "the thing")
    bodies.match(_BOOT)(batch.boot, "the boot")
    bodies.one_of(*KINDS)(batch.kind, "the kind")
    _SEQ(batch.base, "the base")
    if not 1 <= len(batch.records) <= MAXIMUM_RECORDS:
        bodies.refuse("the number of records", len(batch.records), f"from 1 to {MAXIMUM_RECORDS}")
    first, before = batch.records[0].seq, 0
    if first < batch.base:
        bodies.refuse("the first sequence number", first, f"at least the base, {batch.base}")
    for seq, record in enumerate(batch.records, first):
        _SEQ(record.seq, "a sequence number")
        if record.seq != seq:
            bodies.refuse("a sequence number", record.seq, f"{seq}, the next")
        bodies.whole(before, LAST_AT)(record.at, f"the time of record {seq}")
        before = record.at


def _check_bodies(batch: Batch) -> None:
    for record in batch.records:
        bodies.check(batch.kind, record.body)


def _text(batch: Batch, count: int) -> bytes:
    records = batch.records[:count]
    before = [0, *(record.at for record in records)]
    rows = [[record.at - then, record.body] for record, then in zip(records, before, strict=False)]
    return _encode([batch.thing, batch.boot, batch.kind, batch.base, records[0].seq, rows])


def _deflate(text: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    return bytes([VERSION]) + deflate.compress(text) + deflate.flush()


def _inflate(data: bytes) -> bytes:
    inflate = zlib.decompressobj(_WINDOW, _DICTIONARY)
    try:
        text = inflate.decompress(data, MAXIMUM_INFLATED)
    except zlib.error as error:
        raise Malformed(f"the payload cannot be inflated: {error}") from None
    if not inflate.eof or inflate.unused_data:
        raise Malformed(f"the payload is cut off, has a tail or is over {MAXIMUM_INFLATED} bytes inflated")
    return text


def _encode(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _decode(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from None
