"""The compiler's processes of one account: made when a job needs one, kept warm, ended with the account."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offline.runners import Job, JobFailed, JobStopped
from offline.state import State

_ROOT = Path(__file__).resolve().parents[2]
_LOOKS_SECONDS = 0.05


class Compilers:
    """As many processes as processors, since a compilation computes all the time that it takes."""

    def __init__(self, state: State) -> None:
        self._folder = state.folder / "compilers"
        self._free = threading.Semaphore(os.cpu_count() or 1)
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._started = 0
        self._closed = False
        state.closing.callback(self.close)

    def compile(self, job: Job, source: Path, target: Path) -> dict[str, Any]:
        """Have the tarball `source` compiled into `target`.

        Returns:
            What DescribeCompilationJob tells beyond the artifact.

        Raises:
            JobFailed: the compiler's refusal, or that it broke.
            JobStopped: the job was told to stop.
        """
        while not self._free.acquire(timeout=_LOOKS_SECONDS):
            job.check()
        try:
            process = self._take()
            answer = None
            try:
                answer = _ask(process, job, {"source": str(source), "target": str(target)})
            finally:
                self._give_back(process, healthy=answer is not None)
        finally:
            self._free.release()
        if "refusal" in answer:
            raise JobFailed(answer["refusal"])
        fields: dict[str, Any] = answer["fields"]
        return fields

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            _end(process)

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise JobStopped
            while self._idle:
                if (process := self._idle.pop()).poll() is None:
                    return process
            self._started += 1
            log = self._folder / f"{self._started}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "offline.compiler.worker"],
                cwd=_ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )

    def _give_back(self, process: subprocess.Popen[bytes], *, healthy: bool) -> None:
        with self._lock:
            if keep := healthy and not self._closed:
                self._idle.append(process)
        if not keep:
            _end(process)


def _ask(process: subprocess.Popen[bytes], job: Job, paths: Mapping[str, str]) -> dict[str, Any]:
    """The process's answer, awaited for as long as the job may run."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    request = {name: job.request[name] for name in ("InputConfig", "OutputConfig")}
    received = bytearray()
    with contextlib.suppress(BrokenPipeError):  # a process that is gone has no answer either
        process.stdin.write(json.dumps({**paths, "request": request}).encode() + b"\n")
        process.stdin.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if selector.select(_LOOKS_SECONDS):
                if not (part := os.read(process.stdout.fileno(), 1 << 16)):
                    raise JobFailed(_BROKE)
                received += part
            job.check()
    answer: dict[str, Any] = json.loads(received)
    return answer


# The one message for all that is not the user's fault, as in https://github.com/aws/amazon-sagemaker-examples/issues/1284
_BROKE = "ServerError: There was an internal server error during the compilation job, please try again in a few minutes"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with what it started: PyTorch's exporter is a process of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
