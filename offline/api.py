"""Which operation of which service a request calls, and the answer in that service's form, by botocore's models."""

import functools
import gzip
import io
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import NotFound, get_service_router
from moto.core.serialize import get_serializer_class
from werkzeug.exceptions import ClientDisconnected

_SCOPE = re.compile(r"Credential=([^/,]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
_HEAD_BYTES = 4096  # a model's metadata stands at its beginning; reading only that makes the index cost 0.2 s, not 4 s


# Services answer with codes that their models do not list; moto remarks on each.
warnings.filterwarnings("ignore", message=r"Exception\(ServiceError\) with code")


@dataclass(frozen=True)
class Call:
    """One request, understood. `parameters` have the names that boto3 uses."""

    service: str
    operation: OperationModel
    protocol: str
    parameters: Mapping[str, Any]
    wire: Any = None
    """The JSON body as it came."""
    unread: tuple[str, ...] = ()
    """The form fields that the operation has no parameter for."""

    @property
    def name(self) -> str:
        """As IAM writes actions, with botocore's name of the service: sagemaker:CreateTrainingJob."""
        return f"{self.service}:{self.operation.name}"


class ServiceError(Exception):
    """An error that a service answers with. moto's own class looks for a service in the module that raises it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreadable(Exception):
    """A request whose operation is known but whose parameters no service could read."""

    def __init__(self, call: Call, reason: str) -> None:
        super().__init__(reason)
        self.call = call


class UnknownOperation(Exception):
    """A signed request for an operation that none of the services of its signing name has."""


def buffered(environ: dict[str, Any]) -> Request:
    """The request with its body read once and put back, for whoever comes after.

    Raises:
        ConnectionError: it did not come to its end.
    """
    request = Request(environ)
    try:
        body = request.get_data(cache=True, parse_form_data=False)
    except ClientDisconnected as error:
        raise ConnectionResetError("the client went away while it sent its request") from error
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return request


def credential(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """(access key, signing name) of a signed or presigned request, None of an anonymous one."""
    presigned = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    scope = environ.get("HTTP_AUTHORIZATION") or (presigned and f"Credential={presigned}")
    found = _SCOPE.search(scope or "")
    return (found[1], found[2]) if found else None


def understand(request: Request, signing_name: str) -> Call:
    """The operation that this request calls, and its parameters.

    Raises:
        UnknownOperation: no model has it.
        Unreadable: a model has it, but the parameters are not of the types it asks for.
    """
    for service in _signing_names().get(signing_name.lower(), ()):
        try:
            operation, path_parameters = get_service_router(service).match(request)
        except (NotFound, NotImplementedError):
            continue
        protocol = determine_request_protocol(operation.service_model, request.content_type)
        return _parsed(request, service, operation, protocol, path_parameters)
    target = request.headers.get("X-Amz-Target") or request.values.get("Action") or f"{request.method} {request.path}"
    raise UnknownOperation(f"no service that signs as {signing_name!r} has an operation for {target!r}")


def success(call: Call, result: Mapping[str, Any]) -> Answer:
    """The result of an operation, as its protocol writes it."""
    members = call.operation.output_shape.members if call.operation.output_shape else {}
    status = [name for name, shape in members.items() if shape.serialization.get("location") == "statusCode"]
    return _serialized(call, result, result.get(status[0]) if status else None)


def failure(call: Call, code: str, message: str, *, status: int | None = None) -> Answer:
    """This service's own form of an error, as its protocol writes it. `status` overrides the model's HTTP status."""
    return _serialized(call, ServiceError(code, message), status)


def _serialized(call: Call, result: object, status: int | None) -> Answer:
    serialized = get_serializer_class(call.service, call.protocol)(operation_model=call.operation).serialize(result)
    body = serialized["body"]
    return Answer(
        status or int(serialized["status_code"]),
        {str(name): str(value) for name, value in serialized["headers"].items()},
        body if isinstance(body, bytes) else str(body).encode(),
    )


def _parsed(
    request: Request, service: str, operation: OperationModel, protocol: str, path_parameters: Mapping[str, Any]
) -> Call:
    empty = Call(service, operation, protocol, {})
    body, form = request.get_data(), _Form(request.values.to_dict())
    try:
        wire = json.loads(body) if body and _has_json_body(operation, protocol) else None
        if wire is not None and not isinstance(wire, dict):
            raise TypeError(f"the body is a JSON {type(wire).__name__}, not an object")
        parameters = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": form if protocol in ("query", "ec2") else request.values,
                "headers": request.headers,
                "body": body,
                "url_path": request.path,
                "url_params": path_parameters,
            }
        )
    except Exception as error:
        # Whatever a parser trips over is the request's fault: it walks the model, not the account.
        raise Unreadable(empty, f"{type(error).__name__}: {error}") from error
    unread = form.unread() if protocol in ("query", "ec2") else ()
    return Call(service, operation, protocol, dict(parameters), wire, unread)


class _Form(dict[str, str]):
    """The fields of a form, which remembers those that a parser asked for."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(fields)
        self._read = {"Action", "Version"}

    def get(self, name: str, default: Any = None) -> Any:
        self._read.add(name)
        return super().get(name, default)

    def unread(self) -> tuple[str, ...]:
        return tuple(sorted(self.keys() - self._read))


def _has_json_body(operation: OperationModel, protocol: str) -> bool:
    if protocol not in ("json", "rest-json") or operation.input_shape is None:
        return False
    payload = operation.input_shape.serialization.get("payload")
    return payload is None or operation.input_shape.members[payload].type_name == "structure"


@functools.cache
def _signing_names() -> Mapping[str, tuple[str, ...]]:
    """Signing name → the services that sign with it, the one of the same name first."""
    services: dict[str, list[str]] = {}
    for folder in sorted((Path(botocore.__file__).parent / "data").iterdir()):
        models = sorted(folder.glob("*/service-2.json.gz"))
        if not models:
            continue
        with gzip.open(models[-1]) as model:
            head = model.read(_HEAD_BYTES).decode(errors="replace")
        name = re.search(r'"signingName":\s*"([^"]+)"', head) or re.search(r'"endpointPrefix":\s*"([^"]+)"', head)
        if name:
            services.setdefault(name[1].lower(), []).append(folder.name)
    return {name: tuple(sorted(found, key=lambda service: service != name)) for name, found in services.items()}
