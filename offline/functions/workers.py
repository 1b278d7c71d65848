"""The processes of one account's functions: started with the deployed code, kept warm, ended with the account."""

import contextlib
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

from moto.awslambda.models import LambdaFunction

from offline import roles
from offline.api import ServiceError
from offline.state import State

_RUNTIME = Path(__file__).with_name("runtime.py")
# Loading the code does not count as the first invocation's time; AWS gives it 10 s, a busy laptop needs more:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_LOADING_SECONDS = 60


class Gone(Exception):
    """The process ended before it answered."""


@dataclass
class Worker:
    """A process that runs one version of one function and takes one event at a time."""

    process: subprocess.Popen[bytes]
    log: Path
    loaded: bool = False

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """The worker's answer to one event.

        Raises:
            TimeoutError: none within `seconds`.
            Gone: the process ended.
        """
        if not self.loaded:
            self._listen(seconds=_LOADING_SECONDS)
            self.loaded = True
        assert self.process.stdin is not None  # noqa: S101
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Gone from error
        return self._listen(seconds=seconds)

    def _listen(self, *, seconds: float) -> dict[str, Any]:
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
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@dataclass
class _Pool:
    """The workers of one function: those that wait, and how many there are and were."""

    version: str
    idle: list[Worker] = field(default_factory=list)
    busy: int = 0
    started: int = 0


class Workers:
    """The workers of every function."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._folder = state.folder / "functions"
        self._pools: dict[str, _Pool] = {}
        self._alive: dict[int, Worker] = {}
        self._lock = threading.Lock()
        self._closed = False

    def take(self, function: LambdaFunction) -> Worker:
        """An idle worker of this very version of the function, or a new one.

        Raises:
            ServiceError: the function's reserved concurrency is used up, or Lambda may not assume its role.
        """
        version = _version(function)
        with self._lock:
            pool = self._pools.setdefault(function.function_arn, _Pool(version))
            if function.reserved_concurrency is not None and pool.busy >= int(function.reserved_concurrency):
                raise ServiceError("TooManyRequestsException", "Rate Exceeded.")
            outdated: list[Worker] = []
            if pool.version != version:
                outdated, pool.idle, pool.version = pool.idle, [], version
            pool.busy += 1
            worker = pool.idle.pop() if pool.idle else None
        for one in outdated:
            self._end(one)
        if worker is not None and worker.process.poll() is None:
            return worker
        try:
            return self._start(function, pool)
        except BaseException:
            with self._lock:
                pool.busy -= 1
            raise

    def give_back(self, function: LambdaFunction, worker: Worker, *, healthy: bool) -> None:
        """Keep the worker for the next event, unless it is broken or the function has changed meanwhile."""
        with self._lock:
            pool = self._pools[function.function_arn]
            pool.busy -= 1
            keep = healthy and pool.version == _version(function) and not self._closed
            if keep:
                pool.idle.append(worker)
        if not keep:
            self._end(worker)

    def close(self) -> None:
        """End every worker; invocations under way fail."""
        with self._lock:
            self._closed = True
            workers = list(self._alive.values())
            self._alive.clear()
        for worker in workers:
            worker.end()

    def _start(self, function: LambdaFunction, pool: _Pool) -> Worker:
        own = self._folder / function.function_name
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        code = self._unpacked(function)
        environment = self._environment(function, code, own / "tmp")
        with self._lock:
            if self._closed:
                raise ServiceError("ServiceException", "the account is closing")
            pool.started += 1
            log = own / f"{pool.started}.log"
            with log.open("ab") as file:
                process = subprocess.Popen(
                    [sys.executable, "-s", "-P", str(_RUNTIME), str(code)],
                    cwd=code,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    start_new_session=True,
                )
            worker = self._alive[process.pid] = Worker(process, log)
        return worker

    def _end(self, worker: Worker) -> None:
        with self._lock:
            self._alive.pop(worker.process.pid, None)
        worker.end()

    def _unpacked(self, function: LambdaFunction) -> Path:
        """The folder of the function's code: one per content, shared by the functions that have the same."""
        folder: Path = self._folder / "code" / function.code_digest[:16]
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
        session = function.function_name[:64].ljust(2, "-")  # a session's name has two letters at least
        try:
            role = roles.assume(self._state, function.role, service="lambda.amazonaws.com", session=session)
        except PermissionError as error:
            message = f"The role defined for the function cannot be assumed by Lambda: {error}"
            raise ServiceError("InvalidParameterValueException", message) from error
        return {
            **{str(name): str(value) for name, value in function.environment_vars.items()},
            **self._state.environment,
            **{name.upper(): value for name, value in role.items()},
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
    parts = (function.code_digest, function.handler, function.environment_vars, function.role, function.memory_size)
    return json.dumps(parts, sort_keys=True, default=str)
