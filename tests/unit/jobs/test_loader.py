"""The loader: batches in the order of the plan, read ahead but not far, and no thread left behind."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobs.training import loader
from jobs.training.cache import Decoded
from jobs.training.dataset import Split
from jobs.training.loader import Batch, batches

CPU = torch.device("cpu")
COUNT = 20


def split_of(pictures: Any = None) -> Split:
    """Twenty pictures, each of the one value that is its number."""
    values = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 2, 2, 3))
    return Split(
        pictures or Decoded(values.copy()),
        np.arange(COUNT)[::-1].copy(),
        torch.arange(COUNT),
        np.arange(COUNT, dtype=np.uint64) + 100,
    )


def loader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


@given(st.lists(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=5), max_size=6), st.integers(1, 5))
def test_batches_come_in_the_order_of_the_plan(plan: list[list[int]], depth: int) -> None:
    arrays = [np.array(part) for part in plan]
    found = list(batches(split_of(), arrays, device=CPU, depth=depth, threads=3))
    assert [batch.indices.tolist() for batch in found] == plan
    for batch in found:
        assert batch.images.shape == (len(batch.indices), 3, 2, 2)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.images[:, 0, 0, 0].tolist() == (COUNT - 1 - batch.indices).tolist()
        assert batch.targets.tolist() == batch.indices.tolist()
        assert batch.objects.tolist() == (batch.indices + 100).tolist()


def test_no_more_is_read_ahead_than_was_asked_for() -> None:
    asked: list[int] = []

    def plan() -> Iterator[NDArray[np.int64]]:
        for number in range(COUNT):
            asked.append(number)
            yield np.array([number])

    found = batches(split_of(), plan(), device=CPU, depth=3)
    assert asked == []
    for taken in range(1, 6):
        next(found)
        assert len(asked) == taken + 3


class Broken:
    pixels = 2

    def read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        if 5 in rows:
            raise OSError("the disk is gone")


def test_what_fails_in_a_thread_is_raised_in_the_place_of_its_batch() -> None:
    found = batches(split_of(Broken()), [np.array([0]), np.array([COUNT - 6]), np.array([1])], device=CPU)
    assert next(found).indices.tolist() == [0]
    with pytest.raises(OSError, match="the disk is gone"):
        next(found)
    assert not loader_threads()


def test_a_consumer_that_stops_early_ends_the_threads() -> None:
    found = batches(split_of(), [np.array([number]) for number in range(COUNT)], device=CPU, depth=2)
    next(found)
    assert loader_threads()
    found.close()  # type: ignore[attr-defined]
    assert not loader_threads()


def test_a_batch_is_on_its_way_to_the_gpu_while_the_one_before_is_computed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """On recorded calls in place of a GPU: what waits for what."""
    calls: list[str] = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name, self.copies = name, 0

        def record_event(self) -> str:
            self.copies += 1
            calls.append(f"copied {self.copies}")
            return f"copied {self.copies}"

        def wait_event(self, event: str) -> None:
            calls.append(f"wait {event}")

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    computing = Stream("computing")
    monkeypatch.setattr(torch.cuda, "Stream", lambda _device: Stream("copying"))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: computing)
    kept: list[object] = []
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: kept.append(stream))
    read = iter(batches(split_of(), [np.array([number]) for number in range(3)], device=CPU))
    for batch in loader._copied(read, CPU):
        calls.append(f"compute {batch.indices[0] + 1}")
    assert calls == [
        *("copied 1", "copied 2", "wait copied 1", "compute 1"),
        *("copied 3", "wait copied 2", "compute 2"),
        *("wait copied 3", "compute 3"),
    ]
    assert kept == [computing] * 6


def test_a_batch_of_nothing_is_no_batch() -> None:
    assert list(batches(split_of(), [], device=CPU)) == []
    assert isinstance(next(batches(split_of(), [np.array([3])], device=CPU)), Batch)
