"""Lambda functions run as they were deployed: their zip, handler, environment and role, in warm processes."""

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from offline import gate
from offline.api import Call, ServiceError
from offline.functions.asynchronous import Events
from offline.functions.workers import Gone, Workers
from offline.state import ACCOUNT_ID, State

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_PAYLOAD_BYTES = {"RequestResponse": 6 * 1024 * 1024, "Event": 1024 * 1024, "DryRun": 6 * 1024 * 1024}
_LOG_TAIL_BYTES = 4096


def install(state: State) -> None:
    """Let invocations run the functions' own code."""
    functions = Functions(state)
    gate.SERVICES["lambda:Invoke"] = functions.invoke
    state.closing.callback(functions.close)


class Functions:
    """Every function of one account."""

    def __init__(self, state: State) -> None:
        self._region = state.region
        self._workers = Workers(state)
        self._events = Events(self._run)

    def close(self) -> None:
        """End every invocation."""
        self._events.close()
        self._workers.close()

    def invoke(self, call: Call) -> Mapping[str, Any]:
        """Answer lambda:Invoke. An asynchronous event waits in a queue and is run once.

        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        """
        given = call.parameters
        kind = given.get("InvocationType", "RequestResponse")
        event = _event(given.get("Payload") or b"{}", kind)
        function = self._find(given["FunctionName"], given.get("Qualifier"))
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            self._events.put(function, event)
            return {"StatusCode": 202}
        answer, log = self._run(function, event)
        payload = json.dumps(answer.get("error") or answer["result"]).encode()
        if len(payload) > _PAYLOAD_BYTES[kind]:
            limit = f"maximum allowed payload size ({_PAYLOAD_BYTES[kind]} bytes)"
            answer = _error("Function.ResponseSizeTooLarge", f"Response payload size exceeded {limit}.")
            payload = json.dumps(answer["error"]).encode()
        result = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": payload}
        if "error" in answer:
            result["FunctionError"] = "Unhandled"
        if given.get("LogType") == "Tail":
            result["LogResult"] = base64.b64encode(log[-_LOG_TAIL_BYTES:]).decode()
        return result

    def _find(self, name: str, qualifier: str | None) -> LambdaFunction:
        try:
            return get_backend(ACCOUNT_ID, self._region).get_function(name, qualifier)
        except UnknownFunctionException as error:
            raise ServiceError("ResourceNotFoundException", error.message) from error

    def _run(self, function: LambdaFunction, event: Any) -> tuple[dict[str, Any], bytes]:
        """({"result": ...} or {"error": ...}, what the function logged meanwhile)."""
        id_, seconds = str(uuid.uuid4()), int(function.timeout)
        worker = self._workers.take(function)
        before, healthy = worker.log.stat().st_size, False
        try:
            request = {"id": id_, "event": event, "seconds": seconds, "arn": function.function_arn}
            answer = worker.ask(request, seconds=seconds)
            healthy = True
        except TimeoutError:
            answer = _error("Sandbox.Timedout", f"RequestId: {id_} Error: Task timed out after {seconds:.2f} seconds")
        except Gone:
            code = worker.process.wait()
            message = f"RequestId: {id_} Error: Runtime exited with error: exit status {code}"
            answer = _error("Runtime.ExitError", message)
        finally:
            self._workers.give_back(function, worker, healthy=healthy)
        if "error" in answer:
            answer["error"]["requestId"] = id_
        with worker.log.open("rb") as log:
            log.seek(before)
            return answer, log.read()


def _event(payload: bytes, kind: str) -> Any:
    if len(payload) > _PAYLOAD_BYTES[kind]:
        message = f"{len(payload)} byte payload is too large for the {kind} invocation type"
        raise ServiceError("RequestTooLargeException", f"{message} (limit {_PAYLOAD_BYTES[kind]} bytes)")
    try:
        return json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise ServiceError("InvalidRequestContentException", message) from error


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"errorMessage": message, "errorType": kind}}
