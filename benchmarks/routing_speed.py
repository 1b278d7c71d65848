"""How fast a round is routed, and in how much memory.

Routing has to keep half the speed of the least that any program does with such a file: json.loads and json.dumps of
every line. Both run one after the other in one process, on the same file, and what counts is processor time: whatever
else the machine does is left out of it. Memory is the peak of a fresh process each.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from jobs import manifest  # noqa: E402
from jobs.labeling import routing  # noqa: E402
from jobs.labeling.acceptance import Acceptance, Rule  # noqa: E402
from jobs.labeling.predictions import FILE, Labeler, Opinion  # noqa: E402

CLASSES: Final = [f"species-{number}" for number in range(10)]
MACHINE: Final = Labeler("species", CLASSES, "m-1", datetime(2026, 1, 31, tzinfo=UTC))
THRESHOLD: Final = 0.6
"""About half of the objects are above it: machine and people have as much to do."""
MINIMUM_RATIO: Final = 0.5
MAXIMUM_GROWTH_MIB: Final = 32


def opinions(objects: int) -> Iterator[dict[str, Any]]:
    """Lines as the scoring job writes them."""
    chance = random.Random(20_251)  # noqa: S311 (no secret)
    for number in range(objects):
        weights = [chance.random() ** 12 for _ in CLASSES]
        shares = [weight / sum(weights) for weight in weights]
        line = {
            "content": f"{chance.getrandbits(128):032x}-{number}",
            "source-ref": f"s3://reefloop-data-123456789012/images/site-{number % 7}/{number:08d}.jpg",
            "fingerprint": f"{chance.getrandbits(64):016x}",
        }
        yield MACHINE.predicted(line, Opinion.of(np.array(shares), CLASSES))


def terms() -> routing.Terms:
    rule = Rule(dict.fromkeys(CLASSES, THRESHOLD), {"": Acceptance(THRESHOLD, 1000, 0, 0.01, "")})
    return routing.Terms(rule, MACHINE, audit_share=0.05, honeypot_share=0.1, seed=1)


def gold() -> list[dict[str, str]]:
    return [
        {"content": f"{number}", "source-ref": f"s3://b/gold/{number}.jpg", "fingerprint": f"{number:016x}"}
        for number in range(1000)
    ]


def bare_pass(source: Path, target: Path) -> float:
    start = time.process_time()
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(json.loads(line)) + "\n")
    return time.process_time() - start


def route(folder: Path) -> tuple[float, routing.Routed]:
    start = time.process_time()
    routed = routing.route(folder, gold(), terms())
    return time.process_time() - start, routed


def peak_mib(folder: Path) -> float:
    """The peak memory of a process that does nothing but route this folder."""
    command = [sys.executable, __file__, "--memory", str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def prepared(folder: Path, objects: int) -> Path:
    folder.mkdir()
    manifest.write(folder / FILE, opinions(objects))
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        route(options.memory)
        # Of this program alone: getrusage would count what its parent held when it forked.
        # https://man7.org/linux/man-pages/man5/proc_pid_status.5.html: kibibytes
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return 0
    with tempfile.TemporaryDirectory() as place:
        few, many = prepared(Path(place) / "few", 10_000), prepared(Path(place) / "many", options.objects)
        bare = bare_pass(many / FILE, many / "copy.jsonl")
        routed, counts = route(many)
        assert counts.machine + counts.human == options.objects
        small, large = peak_mib(few), peak_mib(many)
    ratio, growth = bare / routed, large - small
    print(f"Routing {options.objects:,} objects of {len(CLASSES)} classes: {counts}\n")
    print("| | bare JSON pass | routing | ratio | must be |")
    print("|---|---|---|---|---|")
    print(
        f"| objects per processor second | {options.objects / bare:,.0f} | {options.objects / routed:,.0f} "
        f"| {ratio:.2f} | at least {MINIMUM_RATIO} |"
    )
    print(f"\n| | 10,000 objects | {options.objects:,} objects | growth | must be |")
    print("|---|---|---|---|---|")
    print(f"| peak memory, MiB | {small:.1f} | {large:.1f} | {growth:.1f} | below {MAXIMUM_GROWTH_MIB} |")
    holds = ratio >= MINIMUM_RATIO and growth < MAXIMUM_GROWTH_MIB
    if not holds:
        print("\nrouting does not hold what it must", file=sys.stderr)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
