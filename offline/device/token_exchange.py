"""The token exchange service of a core device: AWS credentials over HTTP for the components that depend on it.

https://docs.aws.amazon.com/greengrass/v2/developerguide/token-exchange-service-component.html
"""

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from offline.broker import Link
from offline.device.credentials import Credentials, Denied
from offline.device.tokens import Tokens

COMPONENT: Final = "aws.greengrass.TokenExchangeService"
PATH: Final = "/2016-11-01/credentialprovider/"
_POLL_SECONDS: Final = 0.02  # how soon `stop` is heard


class TokenExchange:
    """The endpoint, on a free port of the loopback interface between `start` and `stop`."""

    def __init__(self, exchange: Callable[[], Credentials], *, tokens: Tokens, link: Link) -> None:
        self._exchange, self._tokens, self._link = exchange, tokens, link
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen. Does nothing the second time."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"answer": self.answer}))
            self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Listen no more. Does nothing the second time."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()

    def variables(self, component: str) -> dict[str, str]:
        """What leads the AWS SDKs in a component's processes here.

        Raises:
            RuntimeError: nobody listens.
        """
        if self._server is None:
            raise RuntimeError("the token exchange service is not started; call start() before")
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://localhost:{self._server.server_port}{PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._tokens.of(component),
        }

    def answer(self, method: str, path: str, token: str) -> tuple[HTTPStatus, Mapping[str, str]]:
        """Status and body of the answer to one request; `token` is its Authorization header."""
        if path.rstrip("/") != PATH.rstrip("/"):
            return HTTPStatus.NOT_FOUND, _error("NotFound", f"{path} is not here; ask for {PATH}")
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, _error("MethodNotAllowed", f"{method} is not possible; use GET")
        if self._tokens.component(token) is None:
            return HTTPStatus.FORBIDDEN, _error("Forbidden", "the Authorization header is no component's token")
        if not self._link.up:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _error("Unreachable", "the credentials provider is out of reach")
        try:
            given = self._exchange()
        except Denied as error:
            return HTTPStatus.FORBIDDEN, _error("AccessDenied", str(error))
        except (BotoCoreError, ClientError) as error:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _error("Failed", str(error))
        return HTTPStatus.OK, {
            "AccessKeyId": given.access_key,
            "SecretAccessKey": given.secret_key,
            "Token": given.session_token,
            "Expiration": given.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    answer: Callable[[str, str, str], tuple[HTTPStatus, Mapping[str, str]]]

    def do_GET(self) -> None:
        status, body = self.answer(self.command, self.path, self.headers.get("Authorization", ""))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing: the account keeps its own list of requests."""


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}
