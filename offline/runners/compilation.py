"""A compilation job: fetches the model, has the compiler's own process at it, stores what comes out."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from offline.runners import Job, JobFailed, JobStopped, storage

_ROOT = Path(__file__).resolve().parents[2]


def work(job: Job) -> None:
    """Do what Neo's service does with a compilation job.

    Raises:
        JobFailed: with the compiler's message.
        JobStopped: the job was told to stop.
    """
    config, output = job.request["InputConfig"], job.request["OutputConfig"]
    s3 = job.state.client("s3", **job.credentials)
    job.folder.mkdir(parents=True, exist_ok=True)
    source, target = job.folder / "model.tar.gz", job.folder / "compiled.tar.gz"
    source.write_bytes(storage.read(s3, config["S3Uri"]))
    _compile(job, source, target)
    stem = PurePosixPath(config["S3Uri"]).name.removesuffix(".tar.gz")
    uri = f"{output['S3OutputLocation'].rstrip('/')}/{stem}-{target_name(output)}.tar.gz"
    bucket, key = storage.split(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=target.read_bytes())
    job.report({"ModelArtifacts": {"S3ModelArtifacts": uri}})


def target_name(output: Mapping[str, Any]) -> str:
    """The target as Neo writes it into the name of an artifact: rasp4b, LINUX_X86_64, LINUX_ARM64_NVIDIA."""
    if "TargetDevice" in output:
        return str(output["TargetDevice"])
    target = output.get("TargetPlatform", {})
    return "_".join(target[part] for part in ("Os", "Arch", "Accelerator") if part in target)


def _compile(job: Job, source: Path, target: Path) -> None:
    """In a process of its own: the compiler holds Python's lock for seconds, and the account must go on answering."""
    configs = {name: job.request[name] for name in ("InputConfig", "OutputConfig")}
    request = json.dumps(configs | {"Target": target_name(job.request["OutputConfig"])})
    with (job.folder / "log.txt").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "offline.runners.compiler", str(source), request, str(target)],
            cwd=_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while process.poll() is None:
            if job.stopping.wait(0.05):
                process.kill()
                process.wait()
                raise JobStopped
        log.seek(0)
        printed = log.read().strip()
    if process.returncode:
        last = printed.splitlines()[-1] if printed else f"exit code {process.returncode}"
        raise JobFailed(last if process.returncode == 1 else f"InternalServerError: the compiler broke: {last}")
