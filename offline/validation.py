"""Whether AWS would take these parameters: types, required members, lengths, ranges, enumerations, patterns."""

import functools
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from offline.api import Call

# The first of these that an operation declares is its code for parameters it does not take; AWS has no common one.
_CODES = (
    "ValidationException",
    "InvalidParameterException",
    "InvalidInputException",
    "InvalidParameterValueException",
    "InvalidRequestException",
)
# Protocols whose services have one code for it, in no model:
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
_CODES_BY_PROTOCOL = {"query": "ValidationError", "ec2": "InvalidParameterValue", "rest-xml": "InvalidArgument"}

_WIRE_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float, str),
    "double": (int, float, str),
    "timestamp": (int, float, str),
}


def problem(call: Call) -> tuple[str, str] | None:
    """(error code, message) with which the service would refuse this call, None when it would take it."""
    shape = call.operation.input_shape
    if shape is None:
        return None
    found = list(_in_wire(call, shape)) or list(_in_parameters(call, shape))
    if not found:
        return None
    code = code_for(call)
    return code, f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {'; '.join(found)}"


def code_for(call: Call) -> str:
    """The code with which this operation refuses parameters."""
    if call.protocol in _CODES_BY_PROTOCOL:
        return _CODES_BY_PROTOCOL[call.protocol]
    declared = {error.name for error in call.operation.error_shapes}
    return next((code for code in _CODES if code in declared), "ValidationException")


def _in_wire(call: Call, shape: Any) -> Iterator[str]:
    """What only the body tells: unknown names and wrong types, which parsing drops or converts."""
    for name in call.unread:
        yield f"Unknown parameter '{name}'"
    if call.wire is None:
        return
    payload = shape.serialization.get("payload")
    yield from _mistyped(shape.members[payload] if payload else shape, call.wire, "")


def _mistyped(shape: Any, value: Any, path: str) -> Iterator[str]:
    if value is None or getattr(shape, "is_document_type", False):
        return
    allowed: Any = _WIRE_TYPES.get(shape.type_name, (object,))
    if not isinstance(value, allowed) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"Value {_shown(value)} at '{path}' is a {type(value).__name__}, it must be a {shape.type_name}"
    elif shape.type_name == "structure":
        members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, item in value.items():
            if name in members:
                yield from _mistyped(members[name], item, _join(path, name))
            elif name != "__type":
                yield f"Unknown parameter '{_join(path, name)}'; known are {', '.join(sorted(members))}"
    elif shape.type_name == "list":
        for index, item in enumerate(value, 1):
            yield from _mistyped(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from _mistyped(shape.value, item, f"{path}.{name}.member")


def _in_parameters(call: Call, shape: Any) -> Iterator[str]:
    """What the parsed parameters tell: members that are missing, values outside of their bounds."""
    yield from _outside(shape, call.parameters, "")


def _outside(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield _failed(None, _join(path, name), "Member must not be null")
        for name, item in value.items():
            if item is not None and name in shape.members:
                yield from _outside(shape.members[name], item, _join(path, name))
        return
    yield from _bounds(shape, value, path)
    if shape.type_name == "list":
        for index, item in enumerate(value, 1):
            yield from _outside(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from _outside(shape.key, name, path)
            yield from _outside(shape.value, item, f"{path}.{name}.member")


def _bounds(shape: Any, value: Any, path: str) -> Iterator[str]:
    """The constraints of one value, in the words of the services.

    https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html shows none of the words; they are those that
    the services answer with.
    """
    metadata = shape.metadata
    number = shape.type_name in ("integer", "long", "float", "double")
    if number or shape.type_name in ("string", "list", "map"):
        what, size = ("value", value) if number else ("length", len(value))
        if "min" in metadata and size < metadata["min"]:
            yield _failed(value, path, f"Member must have {what} greater than or equal to {metadata['min']}")
        if "max" in metadata and size > metadata["max"]:
            yield _failed(value, path, f"Member must have {what} less than or equal to {metadata['max']}")
    if shape.type_name != "string":
        return
    if metadata.get("enum") and value not in metadata["enum"]:
        yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]")
    pattern = _pattern(metadata.get("pattern", ""))
    if pattern is not None and not pattern.fullmatch(value):
        yield _failed(value, path, f"Member must satisfy regular expression pattern: {metadata['pattern']}")


def _failed(value: Any, path: str, constraint: str) -> str:
    return f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    text = "null" if value is None else f"'{value}'"
    return text if len(text) <= 200 else f"{text[:200]}...'"


def _join(path: str, name: str) -> str:
    """Services write paths with a lower-case first letter: inputConfig.dataSource."""
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


@functools.cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """A model's pattern; None for none and for the few that Java understands and Python does not."""
    if not text:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(text)
    except re.error:
        return None
