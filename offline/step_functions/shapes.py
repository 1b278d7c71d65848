"""From the names and types of Step Functions to those of boto3 and back, by botocore's own shapes.

Step Functions spells every parameter in PascalCase, whatever the service's own API does, and refuses a field that the
API does not have: https://docs.aws.amazon.com/step-functions/latest/dg/connect-parameters.html
"""

import json
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel


class UnsupportedField(Exception):
    """A parameter that the called API does not have, or of the wrong type; the message is Step Functions' own."""


@cache
def operation(service: str, action: str) -> OperationModel | None:
    """The model of an API call, `action` being a boto3 method name or camelCase; None when there is no such call."""
    model = _model(service)
    wanted = action.replace("_", "").lower()
    return next((model.operation_model(name) for name in model.operation_names if name.lower() == wanted), None)


@cache
def _model(service: str) -> ServiceModel:
    """Read once: that of a large service takes tens of milliseconds."""
    return botocore.session.get_session().get_service_model(service)


def to_boto(value: Any, shape: Any, *, json_text: bool = False) -> Any:
    """A task's parameters as boto3 wants them.

    Args:
        json_text: write an object as JSON where the API wants text, as optimized integrations do.

    Raises:
        UnsupportedField: a field is unknown or holds what it must not.
    """
    if shape is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.is_document_type:
        members = {name[:1].upper() + name[1:]: name for name in shape.members}
        for name in value:
            if name not in members:
                raise UnsupportedField(f'The field "{name}" is not supported by Step Functions')
        return {
            members[name]: to_boto(item, shape.members[members[name]], json_text=json_text)
            for name, item in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [to_boto(item, shape.member, json_text=json_text) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: to_boto(item, shape.value, json_text=json_text) for key, item in value.items()}
    if shape.type_name == "blob" and not isinstance(value, bytes):
        return (value if isinstance(value, str) else json.dumps(value)).encode()
    if shape.type_name == "string" and not isinstance(value, str):
        if json_text and isinstance(value, dict | list):
            return json.dumps(value, separators=(",", ":"))
        raise UnsupportedField(f"The value for the field '{shape.name}' must be a STRING, not {json.dumps(value)}")
    return value


def from_boto(value: Any, shape: Any) -> Any:
    """A service's answer as a task's result: PascalCase, timestamps as ISO 8601 text, bodies as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return value.decode()
    kind = getattr(shape, "type_name", "")
    if kind == "structure" and isinstance(value, dict):
        return {name[:1].upper() + name[1:]: from_boto(item, shape.members.get(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [from_boto(item, shape.member if kind == "list" else None) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: from_boto(item, shape.value) for key, item in value.items()}
    if isinstance(value, dict):
        return {key: from_boto(item, None) for key, item in value.items()}
    return value
