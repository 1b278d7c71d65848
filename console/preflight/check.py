"""What a check is and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from console.clients import Clients
from settings import Settings

State = Literal["ok", "unknown", "blocks"]


@dataclass(frozen=True)
class Finding:
    """What was found, what is needed and what to do about the difference ("" when nothing)."""

    name: str
    found: str
    needed: str
    todo: str = ""
    state: State = "ok"

    def named(self, name: str) -> "Finding":
        return replace(self, name=name)


def ok(found: str, needed: str) -> Finding:
    return Finding("", found, needed)


def unknown(found: str, needed: str, todo: str) -> Finding:
    return Finding("", found, needed, todo, "unknown")


def blocks(found: str, needed: str, todo: str) -> Finding:
    return Finding("", found, needed, todo, "blocks")


@dataclass(frozen=True)
class Check:
    """One look at the account; `permission` is the action that it needs."""

    name: str
    permission: str
    look: Callable[[Clients, Settings], Finding]
