"""Whether the default recipe learns: the demo's pictures, trained as the laptop stage trains them, seed by seed.

Every seed draws pictures of its own, as many as the demo labels in its first round, and divides them as merging does.
Then the labels of one set are shuffled, and the same training must be no better than guessing: were it better, the
validation split would leak into the training.

Asked: at least 90 % right with the true labels, for the whole interval of all seeds together; and chance, one in
sixteen, within the interval with shuffled ones. Intervals are Wilson's, 95 %.

    python benchmarks/learning.py [--seeds 5]
"""

import argparse
import contextlib
import hashlib
import io
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# As a job runs beside others on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from jobs.labeling.intervals import wilson  # noqa: E402
from jobs.labeling.splits import split_of  # noqa: E402
from jobs.manifest import labeled, write  # noqa: E402
from jobs.paths import write_json  # noqa: E402
from jobs.training import networks, precision  # noqa: E402
from jobs.training.dataset import SPLITS, Dataset, load  # noqa: E402
from jobs.training.evaluation import logits_of  # noqa: E402
from jobs.training.fit import fit  # noqa: E402
from jobs.training.hyperparameters import Hyperparameters  # noqa: E402
from jobs.training.processes import Processes  # noqa: E402
from offline.scenes import list_species, make_images  # noqa: E402

PER_CLASS: Final = 36
"""What the demo uploads of each species before its first round."""
AUDIT_SHARE: Final = 0.05
MINIMUM_ACCURACY: Final = 0.9
SPECIES: Final = list_species()
ATTRIBUTE: Final = "species"


def laptop(**changes: Any) -> Hyperparameters:
    """The hyperparameters of the laptop stage; what the stage leaves to the defaults is the settings' default."""
    stage = json.loads((ROOT / "cdk.json").read_text())["context"]["stages"]["laptop"]["training"]
    known = Hyperparameters.__dataclass_fields__
    chosen = {name: value for name, value in stage.items() if name in known}
    return Hyperparameters(model_version="m", dataset_version="d", **chosen, **changes)


def drawn(folder: Path, seed: int, *, shuffled: bool) -> Path:
    """A dataset version under `folder` of pictures that are drawn there."""
    paths = make_images(folder / "images", SPECIES, PER_CLASS, seed)
    names = [path.parent.name for path in paths]
    if shuffled:
        np.random.default_rng(seed).shuffle(names)
    lines: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for path, name in zip(paths, names, strict=True):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        line = {"source-ref": f"s3://bucket/{path.relative_to(folder)}", "content": content}
        if (split := split_of(content, audit_share=AUDIT_SHARE)) in lines:
            lines[split].append(labeled(line, ATTRIBUTE, SPECIES, name, by_human=True, confidence=1, job_name="drawn"))
    dataset = folder / "dataset"
    for split, found in lines.items():
        write(dataset / f"{split}.manifest", found)
    write_json(dataset / "card.json", {"labels": SPECIES})
    return dataset


def fitted(folder: Path, seed: int, *, shuffled: bool = False) -> tuple[nn.Module, Dataset, float]:
    """The network, what it was trained on, and the training's seconds of the processor."""
    chosen, processes = laptop(seed=seed), Processes.alone(torch.device("cpu"))
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = load(
            drawn(folder, seed, shuffled=shuffled),
            folder,
            attribute=ATTRIBUTE,
            pixels=chosen.image_pixels,
            unreadable_share=0,
            scratch=folder / "scratch",
            processes=processes,
        )
        precision.prepare(chosen, processes.device)
        network = networks.build(
            chosen.network,
            classes=len(SPECIES),
            pixels=chosen.image_pixels,
            normalization=chosen.normalization,
            pretrained=False,
        )
        started = time.process_time()
        network = fit(network, dataset, chosen, folder / "checkpoints", processes)
        return network, dataset, time.process_time() - started


def trained(seed: int, *, shuffled: bool = False) -> tuple[int, int, int, float]:
    """Objects trained on, validation objects, how many of these are wrong, and seconds of the processor."""
    with tempfile.TemporaryDirectory() as place:
        network, dataset, seconds = fitted(Path(place), seed, shuffled=shuffled)
        validation = dataset.splits["validation"]
        alone = Processes.alone(torch.device("cpu"))
        logits = logits_of(network, validation, alone, batch_size=laptop().batch_size)
        wrong = int((logits.argmax(1) != validation.targets).sum())
    return len(dataset.splits["train"]), len(validation), wrong, seconds


def row(name: str, train: object, validation: int, wrong: int, seconds: float) -> tuple[float, float]:
    """Print a line of the table; the interval of the accuracy."""
    low, high = wilson(validation - wrong, validation)
    accuracy = 1 - wrong / validation
    print(f"| {name} | {train} | {validation} | {accuracy:.1%} | {low:.1%} to {high:.1%} | {seconds:.0f} |", flush=True)
    return low, high


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(1, parser.parse_args().seeds + 1)
    torch.set_num_threads(1)
    print(f"Learning {len(SPECIES)} species as the laptop stage does: {laptop()}\n")
    print("| labels | trained on | validation | right | 95 % interval | processor seconds |")
    print("|---|---|---|---|---|---|")
    found = []
    for seed in seeds:
        found.append(trained(seed))
        row(f"true, seed {seed}", *found[-1])
    _, validation, wrong, seconds = (math.fsum(column) for column in zip(*found, strict=True))
    low, _ = row("true, all seeds", "", int(validation), int(wrong), seconds / len(found))
    guessed = row("shuffled", *trained(1, shuffled=True))
    learns, leaks = low >= MINIMUM_ACCURACY, not guessed[0] <= 1 / len(SPECIES) <= guessed[1]
    if not learns:
        print(f"\nthe recipe does not surely reach {MINIMUM_ACCURACY:.0%}", file=sys.stderr)
    if leaks:
        print(f"\nwith shuffled labels it is not at chance, {1 / len(SPECIES):.1%}", file=sys.stderr)
    return int(leaks or not learns)


if __name__ == "__main__":
    sys.exit(main())
