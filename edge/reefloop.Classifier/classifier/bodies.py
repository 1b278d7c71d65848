"""What a message of each kind must say: one table, the same file on the device and in the cloud byte for byte."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

KINDS: Final = ("alert", "health", "summary")
"""In order of priority."""

_DEEPEST: Final = 12


class Malformed(Exception):
    """Bytes that are no message, or a body that its kind does not allow; the message says where and why."""


Check = Callable[[Any, str], None]
"""Takes a value and where it stands; raises Malformed."""


def refuse(where: str, value: object, allowed: str) -> None:
    raise Malformed(f"{where} is {str(value)[:80]!r}; it must be {allowed}")


def number(least: float, most: float) -> Check:
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            refuse(where, value, f"a number from {least:g} to {most:g}")

    return check


def whole(least: int, most: int) -> Check:
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            refuse(where, value, f"a whole number from {least} to {most}")

    return check


def text(length: int) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or len(value) > length:
            refuse(where, value, f"a text of at most {length} characters")

    return check


def one_of(*allowed: str) -> Check:
    def check(value: Any, where: str) -> None:
        if value not in allowed:
            refuse(where, value, "one of " + ", ".join(allowed))

    return check


def match(pattern: re.Pattern[str]) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            refuse(where, value, f"a text like {pattern.pattern}")

    return check


def nullable(inner: Check) -> Check:
    return lambda value, where: None if value is None else inner(value, where)


def each(inner: Check) -> Check:
    """A table from names to values of one sort."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            refuse(where, value, "a table")
        for name, item in value.items():
            LABEL(name, f"a name in {where}")
            inner(item, f"{where}.{name}")

    return check


def fields(**known: Check) -> Check:
    """All of these, and whatever else: a newer device is not refused for a field more. A field that is added later
    must be one that may lack, or a newer cloud would refuse older devices."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            refuse(where, value, "a table")
        for name, inner in known.items():
            if name not in value:
                raise Malformed(f"{where}.{name} is missing")
            inner(value[name], f"{where}.{name}")

    return check


def plain(value: Any, where: str, depth: int = 0) -> None:
    """What any store can keep: finite numbers of at most 15 digits before the point, Unicode text, tables, lists."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            refuse(where, ascii(value), "Unicode: half a surrogate pair is none")
    elif isinstance(value, int | float):  # a bool too
        if not -1e15 <= value <= 1e15:  # nor is NaN
            refuse(where, value, "a finite number of at most 15 digits")
    elif isinstance(value, Mapping | list | tuple):
        if depth == _DEEPEST:
            raise Malformed(f"{where[:200]} is nested more than {_DEEPEST} deep")
        for name, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(value, Mapping):
                LABEL(name, f"a name in {where}")
                plain(name, f"a name in {where}")
            plain(item, f"{where}.{name}", depth + 1)
    elif value is not None:
        refuse(where, type(value).__name__, "a text, number, table or list")


LABEL: Final = text(128)
_REASON: Final = text(1000)
_COUNT: Final = whole(0, 10**15)
_AMOUNT: Final = number(0, 1e15)
_SHARE: Final = number(0, 1)

BODIES: Final[Mapping[str, Check]] = {
    "alert": fields(species=LABEL, probability=_SHARE, frames=_COUNT, visit_seconds=_AMOUNT, model=LABEL),
    "health": fields(
        model=fields(
            version=LABEL,
            target=LABEL,
            runtime=LABEL,
            self_test=one_of("passed", "failed", "none"),
            reason=_REASON,
        ),
        frames_per_second=_AMOUNT,
        latency_ms=fields(p50=_AMOUNT, p99=_AMOUNT, max=_AMOUNT),
        temperature_c=nullable(number(-300, 10_000)),
        queue=_COUNT,
        spool=fields(records=_COUNT, frames=_COUNT, bytes=_COUNT, place=one_of("disk", "memory"), reason=_REASON),
        dropped=_COUNT,
        unreadable=_COUNT,
        evicted=each(_COUNT),
        sent=fields(hour=_COUNT, day=_COUNT, hour_budget=_COUNT, day_budget=_COUNT),
        disk_free_mib=_AMOUNT,
        memory_mib=_AMOUNT,
        restarts=each(_COUNT),
        clock_jumps=_COUNT,
        configuration=_REASON,
        uptime_seconds=_AMOUNT,
    ),
    "summary": fields(
        seconds=_AMOUNT,
        frames=_COUNT,
        unreadable=_COUNT,
        dropped=_COUNT,
        model=LABEL,
        species=each(fields(visits=_COUNT, frames=_COUNT, seconds=_AMOUNT, best=_SHARE)),
        unknown=_COUNT,
        review=_COUNT,
        audit=_COUNT,
    ),
}


def check(kind: Any, body: Any) -> None:
    """Whether a body is what its kind allows.

    Raises:
        Malformed: naming the first field that is not.
    """
    one_of(*KINDS)(kind, "the kind")
    plain(body, kind)
    BODIES[kind](body, kind)
