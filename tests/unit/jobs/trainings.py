"""Dataset versions on disk and in memory, and training processes that start without importing torch again."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jobs.errors import STOPPED, Interrupted
from jobs.training.cache import Decoded
from jobs.training.dataset import Dataset, Split
from tests.unit.jobs.bench import ATTRIBUTE, Bucket, write_lines
from tests.unit.jobs.images import CLASSES, picture

OBJECTS = {"train": 60, "validation": 18}
VERSION = "v1"

_forks = multiprocessing.get_context("forkserver")
# The optimizer, the exporter and the deterministic mode import these when they are first used, which takes longer than
# the trainings here.
_LATE = ("torch._dynamo", "torch._inductor.config", "torch.onnx")
_forks.set_forkserver_preload(["jobs.training.train", *_LATE, "tests.unit.jobs.trainings"])


def put_dataset(bucket: Bucket, version: str = VERSION, counts: Mapping[str, int] = OBJECTS) -> None:
    number = 0
    for split, count in counts.items():
        lines = []
        for _ in range(count):
            name = CLASSES[number % len(CLASSES)]
            line = bucket.put_image(f"images/upload/{version}-{number}.png", picture(name, number), name)
            lines.append(bucket.labeled(line, name))
            number += 1
        write_lines(bucket.dataset(version) / f"{split}.manifest", lines)
    card = {"version": version, "labels": list(CLASSES), "human_level": {"error": 0.01}}
    (bucket.dataset(version) / "card.json").write_text(json.dumps(card))


def hyperparameters(root: Path, **chosen: object) -> None:
    """What SageMaker writes of the hyperparameters of a training."""
    path = root / "input" / "config" / "hyperparameters.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"model_version": "v1-1", "dataset_version": VERSION, "label_attribute": ATTRIBUTE, "image_pixels": 32}
    path.write_text(json.dumps({name: str(value) for name, value in (given | chosen).items()}))


def resources(root: Path, hosts: list[str], current: str, interface: str = "lo") -> None:
    """What SageMaker writes of the hosts of a training."""
    path = root / "input" / "config" / "resourceconfig.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"hosts": hosts, "current_host": current, "network_interface_name": interface}
    path.write_text(json.dumps(found | {"current_instance_type": "ml.g5.xlarge"}))


def dataset(count: int = 60, pixels: int = 32, classes: int = 3) -> Dataset:
    """Stripes, as narrow as their class says, in noise and in memory."""
    rng = np.random.default_rng(7)
    targets = rng.integers(0, classes, 2 * count)
    waves = np.sin(np.arange(pixels) * 0.5 * (1 + targets[:, None]) + rng.uniform(0, 6, (2 * count, 1)))
    noise = rng.normal(0, 30, (2 * count, pixels, pixels, 3))
    pictures = Decoded(np.clip(128 + 60 * waves[:, :, None, None] + noise, 0, 255).astype(np.uint8))
    objects = rng.integers(0, 2**63, 2 * count).astype(np.uint64)
    halves = {"train": slice(0, count), "validation": slice(count, 2 * count)}
    rows = np.arange(2 * count)
    labels = torch.from_numpy(targets)
    splits = {name: Split(pictures, rows[part], labels[part], objects[part]) for name, part in halves.items()}
    return Dataset([str(number) for number in range(classes)], splits, [], None)


def started(work: Callable[..., Any], *arguments: Any, log: Path, **environment: str) -> ForkServerProcess:
    """A process that does `work`; what it prints goes to `log`."""
    process = _forks.Process(target=_run, args=(work, arguments, str(log), environment))
    process.start()
    return process


def warm_up() -> None:
    """Have the server of forks import what it shares, so that what comes next can be timed."""
    process = _forks.Process(target=int)
    process.start()
    process.join()


def train(root: str) -> None:
    """`python -m jobs train`, as far as that goes without a new interpreter."""
    from jobs import __main__ as entry

    os.environ["ML_ROOT"] = root
    signal.signal(signal.SIGTERM, entry._stop)
    try:
        code = entry.main(["train"])
        # The way out of a fork is not the job's: a signal on it must not end as an error of multiprocessing.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except Interrupted:
        code = STOPPED
    sys.exit(code)


def ranks(size: int, port: int) -> list[dict[str, str]]:
    """The environment that torchrun gives to each process of one host."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    common |= {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]


def _run(work: Callable[..., Any], arguments: tuple[Any, ...], log: str, environment: dict[str, str]) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    work(*arguments)
