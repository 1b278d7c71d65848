"""The environment variables of a function as one typed record.

A handler declares what it needs as a frozen dataclass; the fields' names in upper case are the variables:

    @dataclass(frozen=True)
    class Environment:
        data_bucket: str  # DATA_BUCKET
        chunk_objects: int  # CHUNK_OBJECTS
        algorithm_arn: str = ""  # ALGORITHM_ARN, which may be missing

    environment = read(Environment)
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


class EnvironmentInvalid(Exception):
    """A variable is missing or has a value of the wrong kind; the message names all of them at once."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


# How each type of field is read, and how a message calls it.
_KINDS: Final[Mapping[Any, tuple[Callable[[str], object], str]]] = {
    str: (str, "text"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    tuple[str, ...]: (_names, "names separated by commas"),
}


def read(record: type[Record]) -> Record:
    """The record filled from the environment.

    Raises:
        EnvironmentInvalid: naming every variable that is missing, empty or of the wrong kind.
    """
    values: dict[str, object] = {}
    faults: list[str] = []
    hints = get_type_hints(record)
    for field in fields(record):
        convert, kind = _KINDS[hints[field.name]]
        variable = field.name.upper()
        text = os.environ.get(variable, "")
        if not text and field.default is not MISSING:
            continue
        try:
            values[field.name] = convert(text)
        except ValueError:
            faults.append(f"{variable} is {text!r} and must be {kind}")
        else:
            if not text:
                faults.append(f"{variable} is missing and must be {kind}")
    if faults:
        raise EnvironmentInvalid(f"{'; '.join(faults)}: set it where the function is defined, in the stack")
    return record(**values)
