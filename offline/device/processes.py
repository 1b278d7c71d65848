"""Processes of components: each lifecycle script in a process group of its own that cannot outlive the device."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# Runs the script beside a watcher that ends the whole group once the pipe on its standard input is closed: by the
# device, or by the kernel when the device's process is gone, kill -9 included.
_LEASH: Final = """
exec 3<&0 </dev/null
(trap '' TERM; cat <&3 >/dev/null; kill -TERM 0; sleep 5; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
exec /bin/sh -c "$1"
"""


class Process:
    """One running script. Output goes to `log`, appended."""

    def __init__(self, script: str, *, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "component", script],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, timeout_seconds: float) -> int | None:
        """The exit code; None when it still runs at the end of the timeout."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_seconds: float = 10.0) -> None:
        """SIGTERM to the whole group, and SIGKILL to what is left of it after the grace."""
        if self.exit_code is None:
            self._signal(signal.SIGTERM)
            self.wait(grace_seconds)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def kill(self) -> None:
        """SIGKILL to the whole group, at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return
