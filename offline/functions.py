"""Lambda functions run as they were deployed: their zip, handler, environment and role, in warm processes."""

import base64
import io
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from offline import gate
from offline.api import Call, ServiceError
from offline.state import ACCOUNT_ID, State

_WORKER = Path(__file__).with_name("function_worker.py")
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_SYNCHRONOUS_BYTES = 6 * 1024 * 1024
_EVENT_BYTES = 1024 * 1024
_LOG_TAIL_BYTES = 4096
# Loading the code does not count as the first invocation's time; AWS gives it 10 s, a busy laptop needs more:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_LOADING_SECONDS = 60


def install(state: State) -> None:
    """Let invocations run the functions' own code."""
    functions = Functions(state)
    gate.SERVICES["lambda:Invoke"] = functions.invoke
    state.closing.callback(functions.close)


class Gone(Exception):
    """The process ended before it answered."""


@dataclass
class Worker:
    """A process that has loaded one version of one function and takes one event at a time."""

    process: subprocess.Popen[bytes]
    log: Path
    loaded: bool = False

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """The worker's answer to one event.

        Raises:
            TimeoutError: none within `seconds`.
            Gone: the process ended.
        """
        assert self.process.stdin is not None  # noqa: S101
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Gone from error
        return self.listen(seconds=seconds)

    def listen(self, *, seconds: float) -> dict[str, Any]:
        """The next line that the worker says."""
        assert self.process.stdout is not None  # noqa: S101
        pipe, deadline, received = self.process.stdout.fileno(), time.monotonic() + seconds, bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                part = os.read(pipe, 1 << 20)
                if not part:
                    raise Gone
                received += part
        said: dict[str, Any] = json.loads(received)
        return said

    def end(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass
class Pool:
    """The workers of one function: those that wait, and how many there are in all."""

    version: str = ""
    idle: list[Worker] = field(default_factory=list)
    busy: int = 0
    started: int = 0


class Functions:
    """Every function of one account."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._folder = state.folder / "functions"
        self._pools: dict[str, Pool] = {}
        self._alive: dict[int, Worker] = {}
        self._lock = threading.Lock()
        self._closed = False

    def invoke(self, call: Call) -> Mapping[str, Any]:
        """Answer lambda:Invoke.

        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        """
        given = call.parameters
        kind = given.get("InvocationType", "RequestResponse")
        payload = given.get("Payload") or b"{}"
        limit = _EVENT_BYTES if kind == "Event" else _SYNCHRONOUS_BYTES
        if len(payload) > limit:
            message = f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
            raise ServiceError("RequestTooLargeException", message)
        try:
            event = json.loads(payload)
        except ValueError as error:
            message = f"Could not parse request body into json: {error}"
            raise ServiceError("InvalidRequestContentException", message) from error
        function = self._find(given["FunctionName"], given.get("Qualifier"))
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            threading.Thread(target=self.run, args=(function, event), daemon=True).start()
            return {"StatusCode": 202}
        answer, log = self.run(function, event)
        payload = json.dumps(answer.get("error") or answer["result"]).encode()
        if len(payload) > _SYNCHRONOUS_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({_SYNCHRONOUS_BYTES} bytes)."
            answer = _error("Function.ResponseSizeTooLarge", message)
            payload = json.dumps(answer["error"]).encode()
        result = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": payload}
        if "error" in answer:
            result["FunctionError"] = "Unhandled"
        if given.get("LogType") == "Tail":
            result["LogResult"] = base64.b64encode(log[-_LOG_TAIL_BYTES:]).decode()
        return result

    def _find(self, name: str, qualifier: str | None) -> LambdaFunction:
        try:
            return get_backend(ACCOUNT_ID, self._state.region).get_function(name, qualifier)
        except UnknownFunctionException as error:
            raise ServiceError("ResourceNotFoundException", error.message) from error

    def run(self, function: LambdaFunction, event: Any) -> tuple[dict[str, Any], bytes]:
        """({"result": ...} or {"error": ...}, what the function logged meanwhile)."""
        request_id = str(uuid.uuid4())
        seconds = int(function.timeout)
        worker = self._take(function)
        before = worker.log.stat().st_size
        request = {"id": request_id, "event": event, "seconds": seconds, "arn": function.function_arn}
        healthy = False
        try:
            if not worker.loaded:
                worker.listen(seconds=_LOADING_SECONDS)
                worker.loaded = True
            answer = worker.ask(request, seconds=seconds)
            healthy = True
        except TimeoutError:
            answer = _error(
                "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
            )
        except Gone:
            code = worker.process.wait()
            answer = _error(
                "Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: exit status {code}"
            )
        finally:
            self._give_back(function, worker, healthy=healthy)
        if "error" in answer:
            answer["error"]["requestId"] = request_id
        with worker.log.open("rb") as log:
            log.seek(before)
            return answer, log.read()

    def close(self) -> None:
        """End every worker; invocations under way fail."""
        with self._lock:
            self._closed = True
            workers = list(self._alive.values())
            self._alive.clear()
        for worker in workers:
            worker.end()

    def _take(self, function: LambdaFunction) -> Worker:
        """An idle worker of this very version of the function, or a new one."""
        version = _version(function)
        with self._lock:
            pool = self._pools.setdefault(function.function_arn, Pool(version))
            if function.reserved_concurrency is not None and pool.busy >= int(function.reserved_concurrency):
                raise ServiceError("TooManyRequestsException", "Rate Exceeded.")
            outdated = []
            if pool.version != version:
                outdated, pool.idle, pool.version = pool.idle, [], version
            pool.busy += 1
            pool.started += 1
            number = pool.started
            worker = pool.idle.pop() if pool.idle else None
        for one in outdated:
            self._end(one)
        if worker is not None and worker.process.poll() is None:
            return worker
        try:
            return self._start(function, number)
        except BaseException:
            with self._lock:
                pool.busy -= 1
            raise

    def _give_back(self, function: LambdaFunction, worker: Worker, *, healthy: bool) -> None:
        with self._lock:
            pool = self._pools[function.function_arn]
            pool.busy -= 1
            keep = healthy and pool.version == _version(function) and not self._closed
            if keep:
                pool.idle.append(worker)
        if not keep:
            self._end(worker)

    def _start(self, function: LambdaFunction, number: int) -> Worker:
        own = self._folder / function.function_name
        temporary = own / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        log = own / f"{number}.log"
        code = self._unpacked(function)
        environment = self._environment(function, code, temporary)
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-s", "-P", str(_WORKER), str(code)],
                cwd=code,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        worker = Worker(process, log)
        with self._lock:
            self._alive[process.pid] = worker
            closed = self._closed
        if closed:
            self._end(worker)
        return worker

    def _end(self, worker: Worker) -> None:
        with self._lock:
            self._alive.pop(worker.process.pid, None)
        worker.end()

    def _unpacked(self, function: LambdaFunction) -> Path:
        """The folder of the function's code: one per content, shared by the functions that have the same."""
        folder = self._folder / "code" / function.code_digest[:16]
        with self._lock:
            if not folder.exists():
                partial = folder.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                    archive.extractall(partial)
                partial.rename(folder)
        return folder

    def _environment(self, function: LambdaFunction, code: Path, temporary: Path) -> dict[str, str]:
        """What AWS puts into a function's environment, and nothing of this machine's.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
        """
        role = self._state.client("sts").assume_role(
            RoleArn=function.role,
            RoleSessionName=function.function_name[:64].ljust(2, "-"),  # a session's name has two letters at least
        )["Credentials"]
        return {
            **{str(name): str(value) for name, value in function.environment_vars.items()},
            **self._state.environment,
            "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
            "AWS_SESSION_TOKEN": role["SessionToken"],
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_LOG_GROUP_NAME": function.logs_group_name,
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{uuid.uuid4().hex}",
            "_HANDLER": function.handler,
            "LAMBDA_TASK_ROOT": str(code),
            "TMPDIR": str(temporary),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PYTHONDONTWRITEBYTECODE": "1",  # a function's code folder is read-only in AWS
        }


def _version(function: LambdaFunction) -> str:
    """What two workers must agree in to be the same function."""
    return json.dumps(
        [function.code_digest, function.handler, function.environment_vars, function.role, function.memory_size],
        sort_keys=True,
        default=str,
    )


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"errorMessage": message, "errorType": kind}}
