"""The page's server: on the loopback interface, for one browser that knows its address.

What keeps other pages of that browser and other people of this machine out: a path that nobody can guess; a Host
header that must name the loopback interface, so that no name that resolves to it (DNS rebinding) leads here; Origin and
Fetch Metadata (https://www.w3.org/TR/fetch-metadata/) on whatever changes something; a Content-Security-Policy that
lets the page load and run its own files alone.
"""

import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from console.errors import Failure
from console.label.answers import AnswerInvalid
from console.label.desk import BatchOver
from console.label.pictures import Unreadable
from console.label.station import NoSuchObject, Ref, Station

HOST: Final = "127.0.0.1"
_LARGEST_REQUEST: Final = 1024 * 1024
_SCRIPTS: Final = ("page", "work", "station", "view", "keys", "clock", "boxes", "choices", "outbox")
_TYPES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    **{f"{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PATH: Final = re.compile(r"/([^/?]+)/([^?]*)(?:\?.*)?")
_IMAGE: Final = re.compile(r"images/(\d{1,9})/(\d{1,9})")

_Call = Callable[[Station, Mapping[str, Any]], Any]

# What went wrong, as the page is told: 4xx for what stays so, 5xx for what may work another time.
_STATUSES: Final[Mapping[type[Exception], HTTPStatus]] = {
    BatchOver: HTTPStatus.CONFLICT,
    Unreadable: HTTPStatus.GONE,
    NoSuchObject: HTTPStatus.NOT_FOUND,
    AnswerInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Failure: HTTPStatus.BAD_GATEWAY,
    ClientError: HTTPStatus.BAD_GATEWAY,
    BotoCoreError: HTTPStatus.BAD_GATEWAY,
}


class Denied(Exception):
    """A request that is not the page's own."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class PageServer(ThreadingHTTPServer):
    """Serves one station until it is shut down."""

    # An idle connection must not hold up the end. Answers on their way to S3 are in Station.saving.
    daemon_threads = True

    def __init__(self, station: Station, port: int = 0) -> None:
        self.station = station
        self.secret = secrets.token_urlsafe(32)
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that was closed in the middle of an answer is no news.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def origins(self) -> Mapping[str, str]:
        """Every Host header that leads here, to the Origin that a page from there has."""
        return {f"{name}:{self.server_port}": f"http://{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "reefloop", ""
    timeout = 60
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, answer: Callable[[], None]) -> None:
        """Answer, or say what went wrong in one sentence."""
        try:
            answer()
        except Denied as error:
            self.close_connection = True  # its body may be unread
            self._json(error.status, {"error": str(error)})
        except tuple(_STATUSES) as error:
            status = next(status for kind, status in _STATUSES.items() if isinstance(error, kind))
            self._json(status, {"error": _sentence(error)})

    def _get(self) -> None:
        path = self._path()
        if path in _TYPES:
            name, media_type = _TYPES[path]
            self._send(HTTPStatus.OK, media_type, _file(name))
        elif path == "state":
            self._json(HTTPStatus.OK, self.server.station.report())
        elif named := _IMAGE.fullmatch(path):
            picture = self.server.station.picture((int(named[1]), int(named[2])))
            self._send(HTTPStatus.OK, picture.media_type, picture.body)
        else:
            raise Denied(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self) -> None:
        path, host = self._path(), self.headers["Host"]
        if self.headers.get("Origin", self.server.origins[host]) != self.server.origins[host]:
            raise Denied(HTTPStatus.FORBIDDEN, "another page asked")
        if self.headers.get("Content-Type") != "application/json":
            raise Denied(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a request is application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_REQUEST:
            raise Denied(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {_LARGEST_REQUEST} bytes")
        try:
            call, given = _CALLS[path], json.loads(self.rfile.read(int(length)))
        except (KeyError, ValueError) as error:
            raise Denied(HTTPStatus.NOT_FOUND, "there is no such page, or the request is no JSON") from error
        station = self.server.station
        result = call(station, given if isinstance(given, dict) else {})
        self._json(HTTPStatus.OK, {"result": result, "state": station.report()})

    def _path(self) -> str:
        """The path below the secret one.

        Raises:
            Denied: the request is not from the page.
        """
        if self.headers.get("Host") not in self.server.origins:
            raise Denied(HTTPStatus.MISDIRECTED_REQUEST, "the page is at its own address alone")
        secret, path = named.groups() if (named := _PATH.fullmatch(self.path)) else ("", "")
        if not secrets.compare_digest(secret.encode(), self.server.secret.encode()):
            raise Denied(HTTPStatus.NOT_FOUND, "there is no such page")
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise Denied(HTTPStatus.FORBIDDEN, "another page asked")
        return str(path)

    def _json(self, status: HTTPStatus, document: Any) -> None:
        self._send(status, "application/json; charset=utf-8", json.dumps(document).encode())

    def _send(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": media_type, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the address is a secret, and the terminal is for the person."""


def _sentence(error: Exception) -> str:
    """botocore puts the operation and its retries before what the service said."""
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return f"{said.get('Code')}: {said.get('Message') or 'AWS refused.'}"
    return str(error)


@cache
def _file(name: str) -> bytes:
    return resources.files("console.label").joinpath("page", name).read_bytes()


def _ref(given: Any) -> Ref:
    if not (isinstance(given, list) and len(given) == 2 and all(type(one) is int for one in given)):
        raise NoSuchObject(f"{str(given)[:60]!r} names no object")
    return given[0], given[1]


def _task(station: Station, ref: Ref | None) -> dict[str, Any] | None:
    return {"ref": ref, "boxes": station.boxes(ref)} if ref else None


def _next(station: Station, given: Mapping[str, Any]) -> Any:
    return _task(station, station.next([_ref(one) for one in given.get("held") or []]))


def _save(station: Station, given: Mapping[str, Any]) -> None:
    station.save(_ref(given.get("ref")), given)


def _back(station: Station, given: Mapping[str, Any]) -> Any:
    before = station.before(_ref(given["before"]) if given.get("before") else None)
    return {**(_task(station, before) or {}), "answer": station.given(before), "again": True} if before else None


_CALLS: Final[Mapping[str, _Call]] = {"next": _next, "answer": _save, "back": _back}
