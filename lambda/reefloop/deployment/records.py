"""The table of what devices said: how its items are named, written and read.

    thing   item                                      what it holds
    reef-1  summary#1795000000000-0a1b2c3d#0000000007  one record, as it came
    reef-1  cursor#1795000000000-0a1b2c3d#summary      the number up to which nothing of this stream is missing
    reef-1  status                                     the newest health record

A record's number counts its kind since a start of the component (`boot`), so that the three name it for all time.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, Final

from reefloop.contracts import EXPIRES_AT, ITEM, THING

STATUS: Final = "status"
THROUGH: Final = "through"

Item = dict[str, dict[str, str]]
"""As DynamoDB's own API writes one: {"at": {"N": "1795000000000"}}."""


def stream(kind: str, boot: str) -> str:
    """What the items of one stream of records begin with; they sort by number."""
    return f"{kind}#{boot}#"


def item(kind: str, boot: str, seq: int) -> str:
    """The item of one record."""
    return f"{stream(kind, boot)}{seq:010d}"


def cursor(kind: str, boot: str) -> str:
    """The item that says how far a stream has come."""
    return f"cursor#{boot}#{kind}"


def key(thing: str, name: str) -> Item:
    return {THING: {"S": thing}, ITEM: {"S": name}}


@dataclass(frozen=True)
class Stored:
    """One record of the table. Times are milliseconds since 1970: `at` by the device's clock, which never goes back
    but may be wrong, `received_at` by the cloud's. `invalid` says what is wrong with the body, or nothing."""

    kind: str
    boot: str
    seq: int
    at: int
    received_at: int
    body: Any
    invalid: str = ""

    @property
    def made_at(self) -> int:
        """When it was made, as far as the cloud can tell: not after it came, whatever the device's clock says."""
        return min(self.at, self.received_at)


def contiguous(floor: int, numbers: Iterable[int]) -> int:
    """The highest number up to which nothing is missing.

    Args:
        floor: a number up to which nothing is missing.
        numbers: those above it that are there, in ascending order; read no further than to the first gap.
    """
    pairs = zip(numbers, count(floor + 1), strict=False)
    return floor + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def write(record: Stored, *, expires_at: int) -> Item:
    """The attributes of a record beside its key. The body stays JSON: DynamoDB's numbers are not JSON's.

    Args:
        expires_at: seconds since 1970, after which DynamoDB deletes the item.
    """
    return {
        "kind": {"S": record.kind},
        "boot": {"S": record.boot},
        "seq": {"N": str(record.seq)},
        "at": {"N": str(record.at)},
        "received_at": {"N": str(record.received_at)},
        "body": {"S": json.dumps(record.body, separators=(",", ":"))},
        **({"invalid": {"S": record.invalid}} if record.invalid else {}),
        EXPIRES_AT: {"N": str(expires_at)},
    }


def read(found: Mapping[str, Mapping[str, str]]) -> Stored:
    """The record of an item."""
    return Stored(
        kind=found["kind"]["S"],
        boot=found["boot"]["S"],
        seq=int(found["seq"]["N"]),
        at=int(found["at"]["N"]),
        received_at=int(found["received_at"]["N"]),
        body=json.loads(found["body"]["S"]),
        invalid=found.get("invalid", {}).get("S", ""),
    )
