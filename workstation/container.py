"""Runs the job container on this machine's GPUs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from workstation.idle import SHELL
from workstation.job import ML, Container
from workstation.machine import Problem, Settings, docker, output

CODE = "/opt/reefloop/jobs"
"""Where the image has the folder jobs/ of the project: jobs/Dockerfile."""
# Processes of one training share tensors there, and Docker's own 64 MB are too few.
SHARED_MEMORY = "8g"


def command(
    ml: Path,
    container: Container,
    *,
    arguments: Sequence[str] = (),
    debug: bool = False,
    shell: bool = False,
    code: Path | None = None,
    terminal: bool = False,
) -> list[str]:
    """The call of Docker that runs a job's container on a folder.

    Args:
        arguments: in place of those that the job had.
        debug: under Python's debugger.
        shell: a shell in the container in place of the job.
        code: a folder to run in place of the image's jobs/, to try a change without building an image.
    """
    entrypoint = list(container.entrypoint)
    words = list(arguments or container.arguments)
    if shell:
        entrypoint, words = ["bash"], []
    elif debug:
        if entrypoint:
            raise Problem(f"the job has an entry point of its own, {entrypoint}: use reefloop shell to debug it")
        entrypoint = ["python", "-m", "pdb", "-m", "jobs"]
    # On several GPUs a training has a process each, and a debugger one of them.
    gpus = "device=0" if debug else "all"
    call = [*docker(), "run", "--rm", "--gpus", gpus, "--shm-size", SHARED_MEMORY]
    # What it writes belongs to who runs it. Under SageMaker it is root.
    call += ["--user", f"{os.getuid()}:{os.getgid()}"]
    call += ["--label", f"reefloop={SHELL if shell else 'run'}"]
    call += ["--interactive", "--tty"] if terminal else []
    call += ["--volume", f"{ml}:{ML}"]
    call += ["--volume", f"{code.resolve()}:{CODE}:ro"] if code else []
    for name, value in container.environment.items():
        call += ["--env", f"{name}={value}"]
    # --entrypoint takes one word; the others come before the arguments.
    call += ["--entrypoint", entrypoint[0]] if entrypoint else []
    return [*call, container.image_uri, *entrypoint[1:], *words]


def pull(image_uri: str, settings: Settings) -> None:
    """Have the image on this machine. Its tag never gets another content, so one that is here is the right one."""
    present = subprocess.run([*docker(), "image", "inspect", image_uri], capture_output=True, check=False)
    if present.returncode == 0:
        return
    registry = image_uri.partition("/")[0]
    password = output(["aws", "ecr", "get-login-password", "--region", settings.region])
    output([*docker(), "login", "--username", "AWS", "--password-stdin", registry], input=password)
    if subprocess.run([*docker(), "pull", image_uri], check=False).returncode:
        raise Problem(
            f"{image_uri} could not be pulled. The jobs' state machine builds it: a round starts it, or you do "
            "(docs/workstation.md)"
        )


def run(call: Sequence[str]) -> int:
    """Run it in the foreground, with this process's own terminal, and return its exit status."""
    print(shlex.join(call), file=sys.stderr)
    return subprocess.run(list(call), check=False).returncode
