"""Batches on the device before they are asked for.

Threads read ahead of the training step, no more than `depth` batches of it. On a GPU they read into pinned memory, and
a batch is copied on a stream of its own while the one before it is computed on:
https://docs.pytorch.org/docs/stable/notes/cuda.html#use-pinned-memory-buffers
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jobs.training.dataset import Split

DEPTH: Final = 4
THREADS: Final = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Batch:
    images: Tensor
    """uint8 [k, 3, pixels, pixels], channels last in memory."""
    targets: Tensor
    objects: NDArray[np.uint64]
    indices: NDArray[np.int64]

    def to(self, device: torch.device) -> "Batch":
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
        )


def batches(
    split: Split,
    plan: Iterable[NDArray[np.int64]],
    *,
    device: torch.device,
    depth: int = DEPTH,
    threads: int = THREADS,
) -> Iterator[Batch]:
    """The objects of `split` in the order of `plan`, one batch for each of its arrays of indices.

    What fails in a thread is raised here, in the place of its batch. A consumer that stops early ends the threads.
    """
    read = _read(split, plan, pinned=device.type == "cuda", depth=depth, threads=threads)
    return _copied(read, device) if device.type == "cuda" else read


def _read(
    split: Split, plan: Iterable[NDArray[np.int64]], *, pinned: bool, depth: int, threads: int
) -> Iterator[Batch]:
    pixels = split.pictures.pixels

    def read(indices: NDArray[np.int64]) -> Batch:
        # torch keeps pinned memory and hands it out again once its copy has ended.
        images = torch.empty((len(indices), pixels, pixels, 3), dtype=torch.uint8, pin_memory=pinned)
        split.read(indices, images.numpy())
        targets = split.targets[torch.from_numpy(indices)]
        if pinned:
            targets = targets.pin_memory()
        return Batch(images.permute(0, 3, 1, 2), targets, split.objects[indices], indices)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
    try:
        rest = iter(plan)
        ahead: deque[Future[Batch]] = deque(pool.submit(read, indices) for indices in islice(rest, depth))
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(pool.submit(read, indices) for indices in islice(rest, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _copied(read: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Each batch on the GPU, its copy begun before the one ahead of it is handed over."""
    copying, ahead = torch.cuda.Stream(device), None  # type: ignore[no-untyped-call]
    for batch in read:
        with torch.cuda.stream(copying):
            sent = batch.to(device)
            copied = copying.record_event()
        if ahead:
            yield _ready(*ahead, device)
        ahead = sent, copied
    if ahead:
        yield _ready(*ahead, device)


def _ready(batch: Batch, copied: torch.cuda.Event, device: torch.device) -> Batch:
    computing = torch.cuda.current_stream(device)
    computing.wait_event(copied)
    # Made on the other stream: its memory must not be handed out again before the computation is done with it.
    batch.images.record_stream(computing)
    batch.targets.record_stream(computing)
    return batch
