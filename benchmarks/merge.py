"""How fast a round becomes a dataset version, and in how much memory.

Half of the objects are in the dataset before, half are the round's; every tenth looks nearly like another. Merging
sorts all of them twice and looks for near-duplicates, so its speed is given beside that of the least that any program
does with such files, json.loads and json.dumps of every line, but nothing is asked of it. Memory has to be flat: it is
the peak of a fresh process each.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from jobs.__main__ import main as job  # noqa: E402
from jobs.labeling.fingerprint import BITS, NEAR  # noqa: E402
from jobs.labeling.splits import SPLITS, split_of  # noqa: E402
from jobs.manifest import write  # noqa: E402

CLASSES: Final = [f"species-{number}" for number in range(10)]
AUDIT_SHARE: Final = 0.05
FEW: Final = 10_000
MAXIMUM_GROWTH_MIB: Final = 32


def objects(count: int) -> Iterator[dict[str, Any]]:
    """Labeled lines as consolidation writes them."""
    chance = random.Random(20_252)  # noqa: S311
    fingerprint = 0
    for number in range(count):
        if number % 10:
            fingerprint = chance.getrandbits(BITS)
        else:
            for bit in chance.sample(range(BITS), NEAR):
                fingerprint ^= 1 << bit
        name = chance.randrange(len(CLASSES))
        content = f"{chance.getrandbits(128):032x}-{number}"
        by_human = chance.random() < 0.3 or split_of(content, audit_share=AUDIT_SHARE) == "audit"
        yield {
            "source-ref": f"s3://reefloop-data-123456789012/images/site-{number % 7}/{number:08d}.jpg",
            "content": content,
            "fingerprint": f"{fingerprint:016x}",
            "species": name,
            "species-metadata": {
                "class-name": CLASSES[name],
                "confidence": round(chance.random(), 6),
                "type": "groundtruth/image-classification",
                "job-name": "processing-job/reefloop-labeling-0123456789abcdef",
                "human-annotated": "yes" if by_human else "no",
                "creation-date": "2026-01-31T12:00:00.000000",
            },
        }


def prepared(root: Path, count: int) -> Path:
    """The inputs of a merge, laid out as a processing job finds them."""
    folder = root / "processing" / "input"
    lines = objects(count)
    before: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    for _, line in zip(range(count // 2), lines, strict=False):
        before[split_of(line["content"], audit_share=AUDIT_SHARE)].append(line)
    for name, part in before.items():
        write(folder / "previous" / f"{name}.manifest", part)
    write(folder / "round" / "consolidated.manifest", lines)
    documents = {
        "previous/card.json": {"version": "r1"},
        "round/fates.json": {},
        "round/human-level.json": {"error": None},
        "gold/label-categories.json": {"labels": [{"label": name} for name in CLASSES]},
    }
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    return root


def bare_pass(paths: Iterable[Path], target: Path) -> float:
    start = time.perf_counter()
    with target.open("w", encoding="utf-8") as file:
        for path in paths:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    file.write(json.dumps(json.loads(line)) + "\n")
    return time.perf_counter() - start


def merged(root: Path) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a process that does nothing but merge these inputs."""
    environment = {**os.environ, "ML_ROOT": str(root)}
    command = [sys.executable, __file__, "--only"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds, mib = done.stdout.splitlines()[-1].split()
    return float(seconds), float(mib)


def only() -> int:
    start = time.perf_counter()
    options = {"label-attribute": "species", "task": "classification", "dataset-version": "r2"}
    options |= {"audit-share": str(AUDIT_SHARE)}
    code = job(["merge", *(part for name, value in options.items() for part in (f"--{name}", value))])
    print(time.perf_counter() - start, peak_mib())
    return code


def peak_mib() -> float:
    """Of this program alone: getrusage would count what its parent held when it forked.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html: kibibytes
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        return only()
    with tempfile.TemporaryDirectory() as place:
        few, many = prepared(Path(place) / "few", FEW), prepared(Path(place) / "many", options.objects)
        inputs = sorted((many / "processing" / "input").glob("*/*.manifest"))
        bare = bare_pass(inputs, Path(place) / "copy.jsonl")
        _, small = merged(few)
        seconds, large = merged(many)
        card = json.loads((many / "processing" / "output" / "dataset" / "card.json").read_text())
    growth = large - small
    print(f"Merging {options.objects:,} objects: {card['splits']}, {card['near_duplicates']}\n")
    print("| | bare JSON pass | merging | ratio |")
    print("|---|---|---|---|")
    speeds = f"{options.objects / bare:,.0f} | {options.objects / seconds:,.0f} | {bare / seconds:.2f}"
    print(f"| objects per second | {speeds} |")
    print(f"\n| | {FEW:,} objects | {options.objects:,} objects | growth | must be |")
    print("|---|---|---|---|---|")
    print(f"| peak memory | {small:.0f} MiB | {large:.0f} MiB | {growth:.1f} MiB | below {MAXIMUM_GROWTH_MIB} MiB |")
    return int(growth >= MAXIMUM_GROWTH_MIB)


if __name__ == "__main__":
    sys.exit(main())
