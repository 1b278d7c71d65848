"""The one gate in front of every service: what AWS would refuse is refused, faults happen, crashes become errors."""

import json
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from moto import backends
from moto.core.request import Request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import AssumedRole, sts_backends

from offline import api, authorization, validation
from offline.state import ACCOUNT_ID, State

# What is missing here, or broke: a status that no SDK takes for a moment's trouble and tries again.
_NOT_HERE = 501
_MODULES = frozenset(backends.list_of_moto_modules())


# Services that are not moto's: botocore's name → what answers a call, or raises api.ServiceError or
# NotImplementedError. The parts of the account put theirs in when they are installed.
SERVICES: dict[str, Callable[[api.Call], Mapping[str, Any]]] = {}


class Gate(DomainDispatcherApplication):
    """The WSGI application of one account. Writes requests.log and errors.log into the account's folder."""

    def __init__(self, state: State) -> None:
        super().__init__(create_backend_app)
        self._state = state
        self._sessions: dict[str, AssumedRole | None] = {}
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        started = time.monotonic()
        statuses: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            statuses.append(status)
            return start_response(status, headers, *rest)

        request = api.buffered(environ)
        signed = api.credential(environ)
        call: api.Call | None = None
        answer: api.Answer | None = None
        if signed is not None:
            call, answer = self._judge(request, *signed)
        try:
            if answer is None and call is not None and (own := SERVICES.get(call.name) or SERVICES.get(call.service)):
                answer = self._own(own, call)
            if answer is None:
                return super().__call__(environ, start)  # type: ignore[no-any-return]
        except NotImplementedError as error:
            answer = self._missing(call, str(error))
        except Exception:
            answer = self._broken(call)
        finally:
            self._log(request, signed, call, answer, statuses, started)
        return _send(answer, request.method, start)

    def get_backend_for_host(self, host: str | None) -> Any:
        """As moto does, but for reading the list of its modules from the disk at every request."""
        if host in _MODULES or host == "moto_api":
            return host
        for backend, pattern in self.backend_url_patterns:
            if host is not None and pattern.match(f"http://{host}"):
                return backend
        return None

    def _own(self, answers: Callable[[api.Call], Mapping[str, Any]], call: api.Call) -> api.Answer:
        try:
            return api.success(call, answers(call))
        except api.ServiceError as error:
            return api.failure(call, error.code, error.message)

    def _judge(self, request: Request, access_key: str, signing_name: str) -> tuple[api.Call | None, api.Answer | None]:
        """The call, and the refusal that it gets instead of its answer, if any."""
        try:
            call = api.understand(request, signing_name)
        except api.UnknownOperation as error:
            return None, api.Answer(404, {"x-amzn-errortype": "UnknownOperationException"}, str(error).encode())
        except api.Unreadable as error:
            return error.call, api.failure(error.call, "SerializationException", str(error))
        if (wrong := validation.problem(call)) is not None:
            return call, api.failure(call, *wrong)
        if (session := self._session(access_key)) and (denied := self._denied(call, session)):
            return call, denied
        if (refusal := self._state.faults.take_refusal(call.name, call.parameters)) is not None:
            return call, api.failure(call, refusal.code, refusal.message)
        return call, None

    def _denied(self, call: api.Call, session: AssumedRole) -> api.Answer | None:
        refusal = authorization.refusal(call, session, self._state.region)
        status = None if call.protocol == "json" else HTTPStatus.FORBIDDEN
        return api.failure(call, *refusal, status=status) if refusal else None

    def _missing(self, call: api.Call | None, reason: str) -> api.Answer:
        name = call.name if call else reason
        message = f"The offline account has no {name}: {reason}"
        return _failure(call, "NotImplemented", message)

    def _broken(self, call: api.Call | None) -> api.Answer:
        log = self._state.folder / "errors.log"
        with self._writing, log.open("a") as file:
            file.write(f"{call.name if call else 'a request'} {dict(call.parameters) if call else ''}\n")
            file.write(f"{traceback.format_exc()}\n")
        last = traceback.format_exc().strip().splitlines()[-1]
        return _failure(call, "InternalFailure", f"The offline account failed ({last}); the traceback is in {log}")

    def _log(
        self,
        request: Request,
        signed: tuple[str, str] | None,
        call: api.Call | None,
        answer: api.Answer | None,
        statuses: list[str],
        started: float,
    ) -> None:
        line = {
            "at": round(time.time(), 3),
            "principal": self._principal(signed[0]) if signed else "anonymous",
            "call": call.name if call else f"{request.method} {request.path}",
            "status": answer.status if answer else int(statuses[-1].split()[0]) if statuses else 0,
            "milliseconds": round(1000 * (time.monotonic() - started), 1),
        }
        with self._writing, (self._state.folder / "requests.log").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _principal(self, access_key: str) -> str:
        """The role that this access key was given out for; the key itself when it is nobody's."""
        session = self._session(access_key)
        return str(session.role_arn) if session else access_key

    def _session(self, access_key: str) -> AssumedRole | None:
        """The session of a role that this access key was given out for; None for a developer's own key."""
        if access_key not in self._sessions:
            found = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key)
            self._sessions[access_key] = found
        return self._sessions[access_key]


def _failure(call: api.Call | None, code: str, message: str) -> api.Answer:
    if call is None:
        return api.Answer(_NOT_HERE, {"content-type": "text/plain", "x-amzn-errortype": code}, message.encode())
    return api.failure(call, code, message, status=_NOT_HERE)


def _send(answer: api.Answer, method: str, start: Any) -> Iterable[bytes]:
    body = b"" if method == "HEAD" else answer.body
    headers = {name.lower(): value for name, value in answer.headers.items()}
    headers |= {"x-amzn-requestid": str(uuid.uuid4()), "content-length": str(len(body))}
    start(f"{answer.status} {'Refused' if answer.status < 500 else 'Failed'}", list(headers.items()))
    return [body]
