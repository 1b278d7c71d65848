"""Prove one way to run a package, in a process that may die of it:

    python -m classifier.models.prove FOLDER --runtime NAME --threads N --latency-budget-ms X [--memory-mib M]

prints one line of JSON, {"passed": true, "median_ms": 3.2} or {"passed": false, "reason": "..."}, and exits with 0. Any
other end says that the model is not to be loaded anywhere else.
"""

import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from classifier.models import runtimes
from classifier.models.model import check, golden_input
from classifier.models.package import Refused, read, verify

PASSES: Final = 4
"""Over the golden images. The first checks the answers and warms up: a compiled model may build its kernels then."""
_REASON_CHARACTERS: Final = 500
_PR_SET_PDEATHSIG: Final = 1


def prove(folder: Path, runtime: str, *, threads: int, latency_budget_ms: float) -> float:
    """The model's median latency on the golden images, in ms: of each image the fastest of its passes, since the others
    tell what else ran on the device (https://docs.python.org/3/library/timeit.html#timeit.Timer.repeat).

    Raises:
        Refused: it is damaged, does not load, gives other answers than expected, or is too slow.
    """
    verify(folder)
    package = read(folder)
    run = runtimes.load(runtime, package, threads=threads)
    for golden in package.tried:
        check(run, package, golden)
    fastest = []
    for image in (golden_input(package, golden) for golden in package.tried):
        times = []
        for _ in range(PASSES - 1):
            started = time.perf_counter()
            run(image)
            times.append(1000 * (time.perf_counter() - started))
        fastest.append(min(times))
    median = statistics.median(fastest)
    if median > latency_budget_ms:
        raise Refused(
            f"takes {median:.4g} ms for a golden image; latency_budget_ms is {latency_budget_ms:g}: raise it, or "
            "train a smaller model"
        )
    return median


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what came of it. The model's own libraries may write what they like: that goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runtime", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--latency-budget-ms", type=float, required=True)
    parser.add_argument("--memory-mib", type=int, default=0, help="of data; 0 is any amount")
    given = parser.parse_args(arguments)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        _confine(given.memory_mib)
        found: dict[str, Any]
        try:
            median = prove(
                given.folder, given.runtime, threads=given.threads, latency_budget_ms=given.latency_budget_ms
            )
            found = {"passed": True, "median_ms": median}
        except Refused as error:
            found = {"passed": False, "reason": str(error)[:_REASON_CHARACTERS]}
        answer.write(json.dumps(found) + "\n")


def _confine(memory_mib: int) -> None:
    """Take no more memory than allowed, be the first to go when the device has none, and do not outlive the parent.

    The limit is on data (https://man7.org/linux/man-pages/man2/setrlimit.2.html): one on the address space would also
    count what GPU runtimes reserve and never use.
    """
    # Sent to all of the component's processes when it stops; that is not a finding about the model.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if memory_mib:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mib * 1024 * 1024,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
