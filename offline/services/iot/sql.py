"""The SQL of rules: SELECT fields FROM a topic filter. Anything else is refused when the rule is made.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-reference.html
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from offline.broker import Rejected
from offline.services.iot.expressions import CALL, PATH, UNDEFINED, Expression, Message, Unknown, parse
from offline.topics import check_filter

VERSION: Final = "2016-03-23"

_STATEMENT: Final = re.compile(
    r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s*'(?P<filter>[^']*)'\s*(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_FIELD: Final = re.compile(
    rf"\s*(?P<what>\*|{CALL}|{PATH})(?:\s+AS\s+(?P<alias>[A-Za-z_]\w*))?\s*(?:,|$)", re.IGNORECASE
)
_KNOWN: Final = "SELECT * | field [AS name] | function AS name, ... FROM 'topic filter'"


class SqlError(ValueError):
    """A statement that this account does not evaluate."""


class Unanswerable(ValueError):
    """A message that a statement has no result for."""


@dataclass(frozen=True)
class Result:
    """What a rule hands to its actions."""

    raw: bytes
    document: Any
    """The same as JSON; UNDEFINED where it is none."""


@dataclass(frozen=True)
class Statement:
    """A parsed statement. `fields` has the name that each value gets; the empty name stands for `*`."""

    topic_filter: str
    fields: tuple[tuple[str, Expression], ...]

    def evaluate(self, message: Message) -> Result:
        """The result for one message.

        Raises:
            Unanswerable: fields are to be added to a payload that is no JSON object.
        """
        if [name for name, _ in self.fields] == [""]:
            return Result(message.published.payload, message.document)
        document: dict[str, Any] = {}
        for name, value in self.fields:
            given = value(message)
            if name:
                document |= {} if given is UNDEFINED else {name: given}
            elif isinstance(given, dict):
                document |= given
            else:
                raise Unanswerable(f"nothing can be added to the payload of {message.published.topic}: no JSON object")
        return Result(json.dumps(document, separators=(",", ":")).encode(), document)


@lru_cache(maxsize=1024)
def statement(text: str) -> Statement:
    """Read a statement.

    Raises:
        SqlError: saying what in it is not known here.
    """
    found = _STATEMENT.fullmatch(text)
    if found is None:
        raise SqlError(f"the statement {text!r} is not of the form {_KNOWN}")
    if found["rest"]:
        raise SqlError(f"the statement goes on with {found['rest']!r}; known is {_KNOWN}")
    try:
        check_filter(found["filter"])
    except Rejected as error:
        raise SqlError(str(error)) from None
    return Statement(found["filter"], tuple(_fields(found["fields"])))


def _fields(text: str) -> list[tuple[str, Expression]]:
    fields: list[tuple[str, Expression]] = []
    at = 0
    while at < len(text):
        found = _FIELD.match(text, at)
        if found is None or (found.end() == len(text) and text.rstrip().endswith(",")):
            raise SqlError(f"{text[at:]!r} in SELECT is not known here; known is {_KNOWN}")
        fields.append(_field(found["what"], found["alias"]))
        at = found.end()
    names = [name for name, _ in fields]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SqlError(f"SELECT gives two values the name {twice!r}; say AS another name")
    return fields


def _field(what: str, alias: str | None) -> tuple[str, Expression]:
    if what == "*":
        if alias:
            raise SqlError(f"SELECT has * AS {alias}; * cannot be renamed here")
        return "", lambda message: message.document
    if alias is None and "(" in what:
        raise SqlError(f"SELECT has {what} without a name; say {what} AS name")
    try:
        return alias or what.rpartition(".")[2], parse(what)
    except Unknown as error:
        raise SqlError(str(error)) from None
