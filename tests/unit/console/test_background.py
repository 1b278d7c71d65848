"""Processes beside the account: their failure is told, and none outlives its block."""

import sys
import time
from pathlib import Path

import pytest

from console.demo.background import Background


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_succeeds_is_waited_for(tmp_path: Path) -> None:
    with Background(python(f"open({str(tmp_path / 'done')!r}, 'w')")) as process:
        process.wait()
    assert (tmp_path / "done").exists()


def test_a_process_that_fails_is_told_with_its_last_words() -> None:
    with (
        Background(python("raise SystemExit('no sprites')")) as process,
        pytest.raises(RuntimeError, match="no sprites"),
    ):
        process.wait()


PARENT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid} ")
time.sleep(60)
"""


def test_an_interrupt_ends_the_process_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def interrupted() -> None:
        with Background([*python(PARENT), str(pids)]):
            while not (pids.exists() and pids.read_text().endswith(" ")):
                time.sleep(0.02)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    started = [int(pid) for pid in pids.read_text().split()]
    deadline = time.monotonic() + 60
    while any(map(is_alive, started)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, started))
