"""What an endpoint does: fetches a model and its entry point, starts their container, hands requests to it."""

import http.client
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError

from offline.runners import Job, JobFailed, storage

_ROOT: Final = Path(__file__).resolve().parents[2]
# Where the entry point is in the containers of frameworks; those of Neo's own runtime fetch it.
_WITHIN: Final = "/opt/ml/model/code"
# "The model containers must respond to requests within 60 seconds":
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_ANSWERS_SECONDS: Final = 60
_LOOKS_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Answer:
    """What a container said: an HTTP status, a content type and a body."""

    status: int
    content_type: str
    body: bytes


class Container:
    """One running container. Requests wait for each other, as they do for the one worker of a small instance."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process, self._port = process, port
        self._asking = threading.Lock()

    def ask(self, body: bytes, content_type: str, accept: str) -> Answer:
        with self._asking:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWERS_SECONDS)
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": accept})
                answer = connection.getresponse()
                return Answer(answer.status, answer.getheader("Content-Type", ""), answer.read())
            finally:
                connection.close()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def start(job: Job) -> Container:
    """The container of a job whose request has `RoleArn`, CreateModel's `PrimaryContainer` and a `VariantName`.

    Raises:
        JobFailed: in SageMaker's words.
        JobStopped: it was told to stop meanwhile.
    """
    wanted = job.request["PrimaryContainer"]
    s3 = job.state.client("s3", **job.credentials)
    variables: Mapping[str, str] = wanted.get("Environment", {})
    try:
        _unpack(storage.read(s3, wanted["ModelDataUrl"]), job.folder)
    except (ClientError, JobFailed, tarfile.TarError) as error:
        raise JobFailed(
            f'Failed to download model data for container "{job.request["VariantName"]}" from URL: '
            f'"{wanted["ModelDataUrl"]}": {error}'
        ) from None
    script = variables.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if script and script != _WITHIN:
        _unpack(storage.read(s3, script), job.folder)
    process = _run(job.folder, variables)
    port = _port(process, job)
    if port is None:
        process.kill()
        process.wait()
        job.check()
        raise JobFailed(
            f"The primary container for production variant {job.request['VariantName']} did not pass the ping health "
            "check. Please check CloudWatch logs for this endpoint."
        )
    return Container(process, port)


def _unpack(body: bytes, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        archive.extractall(folder, filter="data")


def _run(folder: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "offline.runners.serving", str(folder)],
            cwd=_ROOT,
            env={**os.environ, **variables, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
        )


def _port(process: subprocess.Popen[str], job: Job) -> int | None:
    """Where the container listens; None when it ended instead, or was told to."""
    said: list[str] = []
    assert process.stdout is not None  # noqa: S101  it is a pipe
    reader = threading.Thread(target=lambda stream: said.append(stream.readline()), args=(process.stdout,), daemon=True)
    reader.start()
    while reader.is_alive() and not job.stopping.is_set():
        reader.join(_LOOKS_SECONDS)
    return int(json.loads(said[0])["port"]) if said and said[0] else None
