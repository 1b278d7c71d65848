"""Stops the machine when nobody and nothing has used it for a while.

Each check says what uses the machine, or nothing. One that cannot tell counts as nothing: a machine that stays on
because nvidia-smi broke costs money, one that stops keeps its disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable

from workstation.machine import Problem, docker, output

LAST_USED = Path("/run/reefloop/last-used")
"""Seconds since the machine started; it lies in memory, so a start begins anew."""
LOAD = Path("/proc/loadavg")
BUSY_LOAD = 0.5
"""Processes that wanted a processor, on average over five minutes. An idle machine has next to none."""
SHELL = "shell"
"""The label of containers that somebody works in: they are used as long as that person is connected."""


ANSWER_SECONDS = 30.0
"""A GPU that fell off its bus lets nvidia-smi wait for ever, and the watch with it."""


def gpu() -> str:
    return _count("GPU processes", _said(["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]))


def containers() -> str:
    """Running containers, without those of `reefloop shell`: one that lost its session would run for ever."""
    kinds = _said([*docker(), "ps", "--format", '{{.ID}} {{.Label "reefloop"}}']).splitlines()
    return _count("containers", "\n".join(kind for kind in kinds if not kind.endswith(f" {SHELL}")))


def sessions() -> str:
    """Session Manager has one worker process per session, also for forwarded ports. pgrep fails when it finds none.

    https://github.com/aws/amazon-ssm-agent#readme
    """
    return _count("sessions", _said(["pgrep", "--full", "ssm-session-worker"]))


def load() -> str:
    average = float(LOAD.read_text().split()[1])
    return f"load: {average}" if average >= BUSY_LOAD else ""


CHECKS: Mapping[str, Callable[[], str]] = {
    "gpu": gpu,
    "containers": containers,
    "sessions": sessions,
    "load": load,
}


def users() -> list[str]:
    """What uses the machine now, as words to show."""
    found = []
    for check in CHECKS.values():
        try:
            found.append(check())
        except Problem:
            continue
    return [one for one in found if one]


def watch(minutes: int, *, stop: bool, now: float) -> None:
    """Say how it stands and, with `stop`, keep count and stop a machine that is idle for `minutes`.

    Args:
        now: seconds on a clock that no time server sets and that begins when the machine starts.
    """
    found = users()
    since = float(LAST_USED.read_text()) if LAST_USED.exists() else now
    if found:
        print(f"in use: {', '.join(found)}")
        since = now
    else:
        print(f"idle for {(now - since) / 60:.0f} of {minutes} minutes")
    if not stop:
        return
    LAST_USED.parent.mkdir(parents=True, exist_ok=True)
    LAST_USED.write_text(str(since))
    if now - since >= 60 * minutes:
        # The instance's shutdown behaviour is to stop: the disk stays, the GPU is no longer paid for.
        output(["shutdown", "-h", "now"])


def _said(command: Sequence[str]) -> str:
    return output(command, timeout=ANSWER_SECONDS)


def _count(what: str, lines: str) -> str:
    count = len(lines.strip().splitlines())
    return f"{what}: {count}" if count else ""
