"""A new package is proved in a process of its own: one that crashes, hangs or eats memory takes nobody with it."""

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import classifier
from classifier.configuration import Configuration
from classifier.models import prove, runtimes
from classifier.models.package import Refused, read

START_SECONDS: Final = 300.0
"""For the process to start and the model to load and warm up: TensorRT builds its engine then, on a small device."""
SECONDS: Final = 600.0
"""For all the ways to run a package together. The keeper proves two in one go at the most, those that it holds after an
update of the component, and its stage must not count as stuck meanwhile."""
_KEPT_BYTES: Final = 4096
"""Of what the process writes; a library that writes without end fills no memory here."""
_IMPORT_ROOT: Final = Path(classifier.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Limits:
    """What a model may take on this device."""

    threads: int
    latency_budget_ms: float
    memory_mib: int
    seconds: float = SECONDS
    """Until it is proved."""

    @property
    def frame_seconds(self) -> float:
        """For a frame, after which the model counts as hung: on a busy device it takes longer than its budget."""
        return max(30.0, 10 * self.latency_budget_ms / 1000)

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        return cls(configuration.inference_threads, configuration.latency_budget_ms, configuration.memory_mib)


@dataclass(frozen=True)
class Proof:
    """A package's best runtime that passed here, and why the better ones did not."""

    runtime: str
    median_ms: float
    notes: str = ""


def in_own_process(folder: Path, runtime: str, limits: Limits) -> float:
    """The median latency in ms of a package on one runtime.

    Raises:
        Refused: saying what the self-test found wrong, or how its process ended.
    """
    needed = START_SECONDS + len(read(folder).tried) * prove.PASSES * limits.latency_budget_ms / 1000
    options = {
        "--runtime": runtime,
        "--threads": limits.threads,
        "--latency-budget-ms": limits.latency_budget_ms,
        "--memory-mib": limits.memory_mib,
    }
    flat = [str(part) for option in options.items() for part in option]
    return judged([sys.executable, "-m", prove.__name__, str(folder), *flat], seconds=min(needed, limits.seconds))


def of(folder: Path, limits: Limits, *, judge: Callable[[Path, str, Limits], float] = in_own_process) -> Proof:
    """Try the ways to run a verified package, best first. One that hangs leaves the others their share of the time.

    Raises:
        Refused: none passes in time; or the package is damaged.
    """
    failures: list[str] = []
    ways, deadline = runtimes.names(folder), time.monotonic() + limits.seconds
    for tried, runtime in enumerate(ways):
        share = (deadline - time.monotonic()) // (len(ways) - tried)
        try:
            return Proof(runtime, judge(folder, runtime, replace(limits, seconds=share)), "; ".join(failures))
        except Refused as error:
            failures.append(f"{runtime}: {error}")
    raise Refused("; ".join(failures))


def judged(command: Sequence[str], *, seconds: float) -> float:
    """What a command found that answers as `prove` does."""
    code, out, err = _run(command, seconds)
    if code is None:
        raise Refused(f"its self-test was not done after {seconds:g} seconds and was stopped")
    if code < 0:
        raise Refused(f"its self-test was ended by {_name(-code)}{_last_line(err)}")
    if code:
        raise Refused(f"its self-test exited with the code {code}{_last_line(err)}")
    try:
        found = json.loads(out)
        passed, median = found["passed"], found.get("median_ms", math.nan)
        reason = "" if passed else str(found["reason"])
        if passed not in (True, False) or (passed and not 0 <= median < math.inf):
            raise ValueError("neither passed nor failed")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(f"its self-test answered with {out[:80]!r}, which is no answer") from None
    if not passed:
        raise Refused(reason)
    return float(median)


def _run(command: Sequence[str], seconds: float) -> tuple[int | None, bytes, bytes]:
    """The exit status, negative for a signal and None when it took too long, and the ends of both outputs."""
    deadline = time.monotonic() + seconds
    paths = [str(_IMPORT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        # Buffers per thread of a library that nothing here uses would count as the model's memory.
        "OPENBLAS_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # with all that it starts itself it can be ended at once
    )
    kept = {1: b"", 2: b""}
    with process, selectors.DefaultSelector() as selector:
        try:
            for number, stream in ((1, process.stdout), (2, process.stderr)):
                assert stream is not None  # noqa: S101  both are pipes
                selector.register(stream, selectors.EVENT_READ, number)
            while selector.get_map():
                if (left := deadline - time.monotonic()) <= 0:
                    return None, kept[1], kept[2]
                for key, _ in selector.select(left):
                    if part := os.read(key.fd, 65_536):
                        kept[key.data] = (kept[key.data] + part)[-_KEPT_BYTES:]
                    else:
                        selector.unregister(key.fileobj)
            try:
                return process.wait(max(0.0, deadline - time.monotonic())), kept[1], kept[2]
            except subprocess.TimeoutExpired:
                return None, kept[1], kept[2]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(err: bytes) -> str:
    lines = err.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""
