"""Work for the second core: processes that run while the account comes up, and are gone with the block they are in."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from offline import cdk

ROOT: Final = Path(__file__).resolve().parents[2]


class Background:
    """One process, in a group of its own so that an interrupt ends all of it, once."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self._command, self._environment = command, environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self

    def wait(self) -> None:
        """Wait until it is done.

        Raises:
            RuntimeError: it failed, with the last lines that it printed.
        """
        printed, _ = self._process.communicate()
        if self._process.returncode:
            tail = "\n".join(printed.strip().splitlines()[-20:])
            raise RuntimeError(f"{Path(self._command[0]).name} {self._command[1]} failed:\n{tail}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def drawing(folder: Path, seed: int) -> Background:
    """Draws the demo's scenes into a folder per site."""
    return Background([sys.executable, "-m", "console.demo.draw", str(folder), str(seed)])


def synthesis(output: Path, **context: str) -> Background:
    """Synthesizes the app, which needs no account."""
    command = [str(cdk.CLI), "synth", "--quiet", "--no-notices", "--no-version-reporting"]
    command += [f"--context={name}={value}" for name, value in context.items()]
    return Background([*command, f"--output={output}"], environment=cdk.environment({}, output.parent))
