"""From one container per host to one process per GPU.

torchrun starts the processes of a host and watches them. It runs inside of this process, which SageMaker sends signals
to, so its failures can be told from what the processes said of theirs:
https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import os
from dataclasses import dataclass
from typing import Any, Final, Self

import torch

from jobs.errors import STOPPED, Interrupted, JobError
from jobs.paths import Root, read_json

GRACE_SECONDS: Final = 100
"""From SIGTERM to SIGKILL, of the 120 that SageMaker gives; torchrun's own are 30."""
RENDEZVOUS_SECONDS: Final = 900
"""Hosts of a job start minutes apart."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The hosts of a training job.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
    """

    hosts: tuple[str, ...] = ("localhost",)
    current: str = "localhost"
    interface: str = ""
    gpus: int = 0
    """Of this host; the others have as many."""

    @classmethod
    def of(cls, root: Root) -> Self:
        """
        Raises:
            JobError: resourceconfig.json is not what SageMaker writes.
        """
        path, gpus = root.resources, torch.cuda.device_count()
        if not path.exists():
            return cls(gpus=gpus)
        found: Any = read_json(path)
        try:
            # Every host must take the same one for the first.
            hosts, current = tuple(sorted(found["hosts"])), found["current_host"]
            hosts.index(current)
        except (KeyError, TypeError, ValueError):
            raise JobError(f"{path} must name hosts and the current_host among them; it has {found}") from None
        return cls(hosts=hosts, current=current, interface=found.get("network_interface_name", ""), gpus=gpus)

    @property
    def processes_per_host(self) -> int:
        return max(1, self.gpus)

    @property
    def processes(self) -> int:
        return len(self.hosts) * self.processes_per_host

    @property
    def options(self) -> list[str] | None:
        """torchrun's, None where one process is enough."""
        if self.processes == 1:
            return None
        one_host = len(self.hosts) == 1
        return [
            f"--nnodes={len(self.hosts)}",
            f"--node-rank={self.hosts.index(self.current)}",
            f"--nproc-per-node={self.processes_per_host}",
            f"--master-addr={'localhost' if one_host else self.hosts[0]}",
            f"--rdzv-conf=timeout={RENDEZVOUS_SECONDS}",
            f"--shutdown-timeout={GRACE_SECONDS}",
            "--max-restarts=0",
        ]

    @property
    def environment(self) -> dict[str, str]:
        """What the processes need to know; what is set already stays."""
        cores = os.cpu_count() or 1
        wanted = {"OMP_NUM_THREADS": str(max(1, cores // self.processes_per_host))}
        if self.interface and len(self.hosts) > 1:
            wanted |= {"NCCL_SOCKET_IFNAME": self.interface, "GLOO_SOCKET_IFNAME": self.interface}
        return wanted


def launch(options: list[str], environment: dict[str, str]) -> None:
    """Run `python -m jobs train` in every process of this host and wait for them.

    Raises:
        Interrupted: they were told to stop.
        JobError: one of them failed. The first to fail has written why, which is not overwritten.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        run.run(run.parse_args([*options, "--module", "jobs", "train"]))  # type: ignore[no-untyped-call]
    except SignalException:
        raise Interrupted("the processes of this host were told to stop") from None
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        if first.exitcode == STOPPED:
            raise Interrupted("the processes of this host stopped, as those of another host were told to") from None
        if first.exitcode >= 0:
            raise JobError(f"process {rank} ended with code {first.exitcode}: the job's log has its error") from None
        raise JobError(
            f"process {rank} was ended by {first.signal_name()}: the job's log has its last lines; SIGKILL often means "
            "that the host has too little memory, so take a larger instance type"
        ) from None
    except torch.distributed.DistError as error:
        raise JobError(f"the hosts of this job did not find each other: {error}; start the job again") from None
