"""The processes of one training: who this one is, and what they tell each other.

Small values are exchanged between processors over gloo, gradients by DistributedDataParallel over NCCL where there are
GPUs: https://docs.pytorch.org/docs/stable/distributed.html
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

import torch
import torch.distributed as distributed
from torch import Tensor

from jobs import driver
from jobs.errors import JobError

TIMEOUT: Final = timedelta(minutes=30)
"""The longest that one process may be busy alone, with a checkpoint or with an unevenly distributed cache."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a training.

    Attributes:
        rank: of `size` over all hosts; 0 is the one that writes.
        local_rank: of `local_size` on this host.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    device: torch.device

    @classmethod
    def alone(cls, device: torch.device | None = None) -> Self:
        return cls(0, 1, 0, 1, device or _device(0))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> range:
        """This process's part of `count` things: a contiguous range, as long as the others' or shorter by one."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def summed(self, values: Tensor) -> Tensor:
        return self._reduced(values, distributed.ReduceOp.SUM)

    def largest(self, values: Tensor) -> Tensor:
        return self._reduced(values, distributed.ReduceOp.MAX)

    def gathered(self, value: Any) -> list[Any]:
        """What each process has for it, by rank."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            distributed.all_gather_object(found, value)
        return found

    def from_first(self, value: Any) -> Any:
        """What the first process has for it."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def barrier(self) -> None:
        """Wait for the others."""
        self.summed(torch.zeros(1))

    def _reduced(self, values: Tensor, operation: Any) -> Tensor:
        values = values.detach().cpu().clone()
        if self.size > 1:
            distributed.all_reduce(values, operation)
        return values


class Vote:
    """What any process wants, agreed on by all at the same step without waiting: each ballot is counted at the next."""

    def __init__(self, processes: Processes) -> None:
        self._alone = processes.size == 1
        self._pending: tuple[Any, Tensor] | None = None

    def cast(self, *wants: bool) -> list[bool]:
        """Say what this process wants; returns what any wanted at the step before, alone what it wants now."""
        if self._alone:
            return list(wants)
        counted = self._counted()
        ballot = torch.tensor(wants, dtype=torch.uint8)
        work = distributed.all_reduce(ballot, distributed.ReduceOp.MAX, async_op=True)
        self._pending = (work, ballot)
        return counted or [False] * len(wants)

    def close(self) -> list[bool]:
        """Count the last ballot: a process must not leave while others wait for it."""
        return self._counted()

    def _counted(self) -> list[bool]:
        if not self._pending:
            return []
        work, ballot = self._pending
        work.wait()
        self._pending = None
        return [bool(one) for one in ballot.tolist()]


def launched(environment: Mapping[str, str]) -> bool:
    """Whether torchrun started this process: https://docs.pytorch.org/docs/stable/elastic/run.html"""
    return "TORCHELASTIC_RUN_ID" in environment


@contextmanager
def joined(environment: Mapping[str, str] | None = None) -> Iterator[Processes]:
    """Take part in the training that torchrun's environment variables describe, alone without them.

    Raises:
        JobError: another process of the training was lost.
    """
    environment = os.environ if environment is None else environment
    if not launched(environment):
        yield Processes.alone()
        return
    rank, size, local_rank, local_size = (
        int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    device = _device(local_rank)
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
        yield Processes(rank, size, local_rank, local_size, device)
        distributed.destroy_process_group()
    except RuntimeError as error:
        if not _lost_a_peer(error):
            raise
        print(f"process {rank}: {error}", flush=True)
        raise JobError(
            f"process {rank} of {size} lost another process of this training, whose own error is in the job's log: "
            "look for the first one there"
        ) from None


def _lost_a_peer(error: RuntimeError) -> bool:
    """Whether a collective failed; gloo has no exception of its own for that."""
    return isinstance(error, distributed.DistError) or "gloo" in str(error)


def _device(local_rank: int) -> torch.device:
    """
    Raises:
        JobError: there is a GPU, and PyTorch cannot use it. On the processor a training would take days at its price.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
        return device
    if driver.HOST.version.exists():
        raise JobError(
            "this host has an NVIDIA driver, but PyTorch can use no GPU: run the container with --gpus all, or use "
            "an instance type whose driver is new enough for the image's CUDA; torch "
            f"{torch.__version__} is for CUDA {torch.version.cuda or 'none'}"
        )
    return torch.device("cpu")
