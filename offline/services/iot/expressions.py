"""The expressions that rules may use, in SELECT and between `${` and `}`: fields and a few functions.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html
https://docs.aws.amazon.com/iot/latest/developerguide/iot-substitution-templates.html
"""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from offline.broker import Published


class Unknown(ValueError):
    """An expression that this account does not evaluate."""


class _Undefined:
    """What an expression gives that names nothing."""

    def __repr__(self) -> str:
        return "Undefined"


UNDEFINED: Final = _Undefined()


@dataclass(frozen=True)
class Message:
    """One message, as the expressions of one rule see it."""

    published: Published
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def document(self) -> Any:
        """The payload as JSON, nothing counting as {}; UNDEFINED when it is none."""
        try:
            return json.loads(self.published.payload or b"{}", parse_constant=_refuse)
        except ValueError:
            return UNDEFINED

    def level(self, number: int) -> Any:
        """A level of the topic; the first has the number 1."""
        levels = self.published.topic.split("/")
        return levels[number - 1] if 1 <= number <= len(levels) else UNDEFINED


Expression = Callable[[Message], Any]
"""Message → a JSON value, or UNDEFINED."""

PATH: Final = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
CALL: Final = r"[A-Za-z_]\w*\s*\([^()]*\)"
_CALL: Final = re.compile(r"(\w+)\s*\(\s*([^()]*?)\s*\)")
_TEMPLATE: Final = re.compile(r"\$\{([^{}]*)\}")
KNOWN: Final = "a field (a or a.b), topic(), topic(n), timestamp(), clientid(), newuuid(), encode(*, 'base64')"


def parse(text: str) -> Expression:
    """What to do to evaluate an expression.

    Raises:
        Unknown: naming it and what is known.
    """
    text = text.strip()
    if re.fullmatch(PATH, text):
        return lambda message: _at(message.document, text.split("."))
    if found := _CALL.fullmatch(text):
        name, argument = found[1].lower(), found[2]
        if name == "topic" and re.fullmatch(r"[1-9]\d*", argument):
            return lambda message: message.level(int(argument))
        if name == "encode" and re.fullmatch(r"\*\s*,\s*'base64'", argument):
            return lambda message: base64.b64encode(message.published.payload).decode()
        if not argument and name in _FUNCTIONS:
            return _FUNCTIONS[name]
    raise Unknown(f"the expression {text!r} is not known here; known are {KNOWN}")


def templates(text: str) -> Iterator[Expression]:
    """The expressions in a text, for checking them.

    Raises:
        Unknown: one of them is.
    """
    for found in _TEMPLATE.finditer(text):
        yield parse(found[1])
    if "${" in _TEMPLATE.sub("", text):
        raise Unknown(f"{text!r} has a ${{ without its own }}; an expression may hold no braces")


def fill(text: str, message: Message) -> str:
    """The text with the value of each `${expression}` in its place.

    Raises:
        ValueError: one of them is undefined for this message.
    """

    def value(found: re.Match[str]) -> str:
        given = parse(found[1])(message)
        if given is UNDEFINED:
            raise ValueError(f"{found[0]} in {text!r} is undefined for a message to {message.published.topic}")
        return given if isinstance(given, str) else json.dumps(given)

    return _TEMPLATE.sub(value, text)


_FUNCTIONS: Final[dict[str, Expression]] = {
    "topic": lambda message: message.published.topic,
    "timestamp": lambda message: int(message.at.timestamp() * 1000),
    "clientid": lambda message: message.published.client or "n/a",
    "newuuid": lambda _: str(uuid.uuid4()),
}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return UNDEFINED
        value = value[name]
    return value
