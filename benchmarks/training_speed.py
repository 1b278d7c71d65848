"""Whether the network ever waits for its images: a training step on real ones beside one on tensors that are there.

Both are the trainer's own step, augmentation included, at the full size of its last epochs. The ways take turns in
short blocks, and each one's fastest block counts: what else the machine does can only slow one down. Images come from
the decoded cache through the loader, with one reading thread and with several; and from their files, decoded anew for
every step, which is what the cache saves. How far the step is from what the device could do is the floating-point
operations of the network's matrix products and convolutions per second, over the most that one large matrix product in
the same type reaches on it.

Asked: with the decoded cache a step takes at most 1.10 times as long.

    python benchmarks/training_speed.py [--network reef] [--batch 16] [--pixels 64]

On a GPU it takes the types and the layout that a training there takes, a larger batch and larger pictures:

    docker run --rm --gpus all -v "$PWD:/work" -w /work --entrypoint python IMAGE benchmarks/training_speed.py
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from jobs.training import loader, networks, precision  # noqa: E402
from jobs.training.cache import Files, Pictures, decoded_once  # noqa: E402
from jobs.training.dataset import Split  # noqa: E402
from jobs.training.hyperparameters import Hyperparameters  # noqa: E402
from jobs.training.loader import Batch  # noqa: E402
from jobs.training.processes import Processes  # noqa: E402
from jobs.training.step import Trainer  # noqa: E402

MAXIMUM_RATIO: Final = 1.10
CLASSES: Final = 16
PHOTOGRAPH: Final = (640, 480)
WARM_UP: Final = 3
"""Untimed steps at the start of a block, in which reading gets ahead."""
# Batch, pixels, pictures, steps of a block, rounds and the size of the matrix product, on a processor and on a GPU.
SIZES: Final = {
    "cpu": {"batch": 16, "pixels": 64, "images": 256, "steps": 10, "rounds": 20, "matrix": 1024},
    "cuda": {"batch": 256, "pixels": 224, "images": 4096, "steps": 40, "rounds": 9, "matrix": 8192},
}


def photographs(folder: Path, number: int) -> list[Path]:
    """JPEGs as a camera writes them: soft shapes, some grain, about 60 kB each."""
    paths = []
    for index in range(number):
        rng = np.random.default_rng(index)
        shapes = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize(
            PHOTOGRAPH, Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 6, (PHOTOGRAPH[1], PHOTOGRAPH[0], 1))
        values = np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)
        paths.append(folder / f"{index}.jpg")
        Image.fromarray(values).save(paths[-1], quality=88)
    return paths


class Bench:
    """A training that can be fed in several ways."""

    def __init__(self, options: argparse.Namespace, pictures: Pictures, device: torch.device) -> None:
        self.device, self.batch, self.number = device, options.batch, options.images
        self.chosen = Hyperparameters(
            model_version="m", dataset_version="d", network=options.network, image_pixels=options.pixels,
            batch_size=options.batch,
        )  # fmt: skip
        self.precision = precision.prepare(self.chosen, device)
        network = networks.build(
            options.network, classes=CLASSES, pixels=options.pixels, normalization="batch", pretrained=False
        )
        self.targets = torch.arange(options.images) % CLASSES
        processes = Processes.alone(device)
        self.trainer = Trainer(network, self.targets, self.chosen, processes, classes=CLASSES)
        self.steps = count()
        self.synthetic = next(loader.batches(self.split(pictures), self.plan(), device=device))

    def split(self, pictures: Pictures) -> Split:
        rows = np.arange(self.number)
        return Split(pictures, rows, self.targets, rows.astype(np.uint64))

    def plan(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(1)
        while True:
            yield rng.integers(0, self.number, self.batch)

    def there(self) -> Iterator[Batch]:
        while True:
            yield self.synthetic

    def block(self, arriving: Iterator[Batch], steps: int) -> float:
        """Seconds of a step."""
        with closing(arriving):
            for _ in range(WARM_UP):
                self.step(next(arriving))
            self.wait()
            started = time.perf_counter()
            for _ in range(steps):
                self.step(next(arriving))
            self.wait()
            return (time.perf_counter() - started) / steps

    def step(self, batch: Batch) -> None:
        self.trainer.step([batch], batch=batch.indices, epoch=self.chosen.epochs - 1, step=next(self.steps), rate=1e-4)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def operations(self) -> int:
        """Floating-point operations of a step's matrix products and convolutions, forward and backward."""
        with FlopCounterMode(display=False) as counter:
            self.step(self.synthetic)
        return int(counter.get_total_flops())

    def ceiling(self, size: int) -> float:
        """The most floating-point operations per second of a large matrix product, in the type of the training."""
        left, right = (torch.randn(size, size, device=self.device, dtype=self.precision.dtype) for _ in range(2))
        best = float("inf")
        for _ in range(20):
            self.wait()
            started = time.perf_counter()
            torch.mm(left, right)
            self.wait()
            best = min(best, time.perf_counter() - started)
        return 2 * size**3 / best


def main() -> int:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default=networks.OWN, help="reef, or a name of timm's")
    parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1), help="of the second reading")
    for name, default in SIZES[device.type].items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    if device.type == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        files = Files(photographs(Path(place), options.images), options.pixels)
        cached, _ = decoded_once(files, Path(place) / "scratch", Processes.alone(device), patience=0)
        bench = Bench(options, cached, device)

        def read(pictures: Pictures, threads: int) -> Iterator[Batch]:
            return loader.batches(bench.split(pictures), bench.plan(), device=device, threads=threads)

        ways = {
            "tensors on the device": bench.there,
            "decoded cache, 1 thread": lambda: read(cached, 1),
            f"decoded cache, {options.threads} threads": lambda: read(cached, options.threads),
            f"files, {options.threads} threads": lambda: read(files, options.threads),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        order = list(ways)
        for _ in range(options.rounds):
            # Each goes first in turn.
            order.append(order.pop(0))
            for way in order:
                seconds[way].append(bench.block(ways[way](), options.steps))
        operations, ceiling = bench.operations(), bench.ceiling(options.matrix)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor, one thread"
    print(
        f"Network {options.network} on one {name}: batches of {options.batch} pictures of {options.pixels} pixels, "
        f"{bench.precision.dtype}, {operations / options.batch / 1e9:.2f} GFLOP per picture; the largest "
        f"matrix product reaches {ceiling / 1e9:,.0f} GFLOP/s\n"
    )
    print("| images from | ms per step | pictures per second | of the ceiling | step over step | must be |")
    print("|---|---|---|---|---|---|")
    there, *rest = ways
    held = True
    for way in ways:
        step = min(seconds[way])
        ratio = step / min(seconds[there])
        asked = "cache" in way
        held &= ratio <= MAXIMUM_RATIO or not asked
        print(
            f"| {way} | {1000 * step:.1f} | {options.batch / step:,.0f} | {operations / step / ceiling:.0%} "
            f"| {f'{ratio:.2f}' if way in rest else ''} | {f'at most {MAXIMUM_RATIO:.2f}' if asked else ''} |"
        )
    if not held:
        print("\nthe network waits for its images", file=sys.stderr)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
