"""Runs a built image as a process with the laptop's Python, in place of Docker on a machine of SageMaker."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from offline.runners import Job, JobFailed, images

# SageMaker grants 120 s between SIGTERM and SIGKILL; nobody on a laptop waits that long.
GRACE_SECONDS: Final = 10.0
# One core is left to the account. OpenMP's threads must not spin while they wait for each other: where another process
# has one of the cores, an epoch takes ten times as long. And glibc must not give the memory of tensors back after every
# step of a training, to have it zeroed in the next: a sixth of the time. Both are the most that it takes:
# https://man7.org/linux/man-pages/man3/mallopt.3.html
_TUNING: Final = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(max(1, min(4, (os.cpu_count() or 1) - 1)))),
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}
_ML: Final = "/opt/ml"
# What a process needs of the laptop's own environment.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Container:
    """One container of a job: its image's words, the files in it and its own /opt/ml. `ending` is for all hosts."""

    job: Job
    image: Mapping[str, Any]
    rootfs: Path
    ml: Path
    environment: Mapping[str, str]
    ending: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def pull(
        cls,
        job: Job,
        uri: str,
        *,
        host: int = 1,
        environment: Mapping[str, str],
        ending: threading.Event | None = None,
    ) -> "Container":
        """The image that a job asks for, ready to run.

        Args:
            environment: what the service adds.
            ending: ends the container's work when it is set, as does stopping the job.

        Raises:
            JobFailed: there is no such image.
        """
        credentials = job.credentials
        image, rootfs = images.pull(job.state.folder / "images", uri, job.state.client("ecr", **credentials))
        ml = job.folder / ("ml" if host == 1 else f"ml-{host}")
        ml.mkdir(parents=True, exist_ok=True)
        account = job.state.environment | {name.upper(): value for name, value in credentials.items()}
        return cls(job, image, rootfs, ml, {**account, **environment}, ending or threading.Event())

    def path(self, inside: str) -> Path:
        """Where a path below /opt/ml is on this machine.

        Raises:
            JobFailed: any other path, which a container of SageMaker has and a process here shares with the laptop.
        """
        if not inside.startswith(f"{_ML}/"):
            raise JobFailed(f"ClientError: LocalPath {inside!r}: this account has paths below {_ML}/ alone")
        return self.ml / inside.removeprefix(f"{_ML}/")

    def run(self, arguments: Sequence[str], entrypoint: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Run to the end and return the exit code. Every line it prints goes to the job's log.txt and `on_line`.

        A job that is told to stop gets SIGTERM, and SIGKILL after GRACE_SECONDS.
        """
        command = [*(entrypoint or self.image["entrypoint"]), *arguments]
        if command[0] in ("python", "python3"):
            command[0] = sys.executable
        workdir = self.rootfs / self.image["workdir"].strip("/")
        workdir.mkdir(parents=True, exist_ok=True)
        try:
            process = subprocess.Popen(
                command,
                cwd=workdir,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise JobFailed(f"AlgorithmError: exec of {command[0]} failed: {error.strerror}, exit code: 127") from None
        watch = threading.Thread(target=self._watch, args=(process,), daemon=True)
        watch.start()
        with process, (self.job.folder / "log.txt").open("a") as log:
            for line in process.stdout or ():
                log.write(line)
                log.flush()
                on_line(line)
        watch.join()
        return process.returncode

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        image = {name: value for name, value in self.image["environment"].items() if name != "PATH"}
        ours = {"ML_ROOT": str(self.ml), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**inherited, **_TUNING, **image, **self.environment, **ours}

    def _watch(self, process: "subprocess.Popen[str]") -> None:
        """End the whole process group when the job is to end, and what a finished process left behind."""
        while process.poll() is None and not (self.job.stopping.wait(0.05) or self.ending.is_set()):
            pass
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[str]", number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
