"""A build: the commands of the project's own buildspec, run by bash, with stand-ins for `docker` and `aws`.

What is tested is what is deployed. Docker's part is done on files (offline/runners/docker.py): RUN is not executed, and
base images are layouts of empty files (offline/runners/base_images.py).
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from offline.runners import Job, JobFailed, JobStopped, storage
from offline.runners.buildspec import Buildspec
from offline.runners.commands import on_path
from offline.runners.docker import Docker

# A command of its own shell each, which begins where the one before ended well: with its exported variables and in its
# folder. CodeBuild keeps the shell, so it is a little more forgiving:
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec-ref-versions
_SHELL: Final = """
source "$1/variables"; cd "$(cat "$1/folder")"
eval "$2"; status=$?
if [ $status = 0 ]; then export -p > "$1/variables"; pwd > "$1/folder"; fi
exit $status
"""
_BASH: Final = shutil.which("bash") or "/bin/bash"
_INHERITED: Final = ("LANG", "LC_ALL")


def work(job: Job) -> None:
    """Run the phases of the project's buildspec over its source.

    Raises:
        JobFailed: the source or the buildspec cannot be used, or a command failed; the message is CodeBuild's.
    """
    job.phase("DOWNLOAD_SOURCE", "")
    source = _unpacked(job, job.state.client("s3", **job.credentials))
    spec = Buildspec.parse(_spec(job, source))
    docker = Docker(job, runs=job.request["privilegedMode"])
    with on_path(docker.run) as commands:
        build = _Build(job, source, spec, commands)
        try:
            build.run()
        finally:
            job.report({"exportedEnvironmentVariables": build.exported()})


class _Build:
    """The state between two commands: variables and the folder, in files."""

    def __init__(self, job: Job, source: Path, spec: Buildspec, commands: Path) -> None:
        self._job, self._spec = job, spec
        self._state, home, scratch = (job.folder / name for name in ("shell", "home", "tmp"))
        for folder in (self._state, home, scratch):
            folder.mkdir(parents=True)
        (self._state / "variables").touch()
        (self._state / "folder").write_text(str(source))
        credentials = {name.upper(): value for name, value in job.credentials.items()}
        self._environment = {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **job.state.environment,
            **credentials,
            **spec.variables,
            **job.request["environment"],
            "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CODEBUILD_BUILD_ID": job.arn.rpartition("/")[2],
            "CODEBUILD_SRC_DIR": str(source),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
        }

    def run(self) -> None:
        """All phases in their order. After a failed build phase comes post_build still, after any other the end.

        https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
        """
        failures: list[str] = []
        ended = ""
        for phase, commands in self._spec.phases.items():
            if failures and phase != "post_build":
                break
            self._job.phase(phase.upper(), ended)
            ended = self._phase(commands)
            if ended:
                failures.append(ended)
                with (self._state / "variables").open("a") as variables:
                    variables.write('declare -x CODEBUILD_BUILD_SUCCEEDING="0"\n')
                if phase != "build":
                    break
        if failures:
            self._job.phase("FINALIZING", ended)
            raise JobFailed(failures[0])

    def _phase(self, commands: Any) -> str:
        """Why a phase failed, in CodeBuild's words; "" when it did not."""
        for command in commands:
            if status := self._command(command):
                return f"Error while executing command: {command}. Reason: exit status {status}"
        return ""

    def _command(self, command: str) -> int:
        with (self._job.folder / "log.txt").open("ab") as log:
            log.write(f"[Container] Running command {command}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [_BASH, "-c", _SHELL, "bash", str(self._state), command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(0.05)
                if self._job.stopping.is_set():
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise JobStopped

    def exported(self) -> list[dict[str, str]]:
        """The last values of the variables that the buildspec exports."""
        said = (self._state / "variables").read_bytes()
        script = 'source /dev/stdin; for name in "$@"; do printf "%s\\0" "${!name}"; done'
        names = self._spec.exported
        done = subprocess.run(
            [_BASH, "-c", script, "bash", *names], input=said, env={}, capture_output=True, check=True
        )
        return [
            {"name": name, "value": value} for name, value in zip(names, done.stdout.decode().split("\0"), strict=False)
        ]


def _spec(job: Job, source: Path) -> str:
    if given := job.request["buildspec"]:
        return str(given)
    path = source / "buildspec.yml"
    if not path.is_file():
        raise JobFailed("YAML_FILE_ERROR: stat buildspec.yml: no such file; the project has none of its own either")
    return path.read_text()


def _unpacked(job: Job, s3: Any) -> Path:
    source: Mapping[str, Any] = job.request["source"]
    if source["type"] != "S3":
        raise JobFailed(f"the source type is {source['type']}; this account builds from a zip in S3")
    folder = job.folder / "source"
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(storage.read(s3, f"s3://{source['location']}"))) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile:
        raise JobFailed(f"the source {source['location']} is not a zip") from None
    return folder
