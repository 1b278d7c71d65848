"""Which processes a training is made of, and what becomes of their ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from jobs.errors import STOPPED, Interrupted, JobError
from jobs.paths import Root
from jobs.training.launch import Cluster, launch
from tests.unit.jobs.bench import Bucket
from tests.unit.jobs.images import CLASSES
from tests.unit.jobs.trainings import VERSION, hyperparameters, put_dataset, resources

ROOT = Path(__file__).resolve().parents[3]


def options(**expected: object) -> list[str]:
    common = {"rdzv-conf": "timeout=900", "shutdown-timeout": 100, "max-restarts": 0}
    return sorted(f"--{name.replace('_', '-')}={value}" for name, value in (common | expected).items())


@pytest.mark.parametrize(
    ("hosts", "current", "gpus", "processes", "started"),
    [
        (["algo-1"], "algo-1", 0, 1, None),
        (["algo-1"], "algo-1", 1, 1, None),
        (["algo-1"], "algo-1", 4, 4, options(nnodes=1, node_rank=0, nproc_per_node=4, master_addr="localhost")),
        (["algo-1", "algo-2"], "algo-1", 0, 2, options(nnodes=2, node_rank=0, nproc_per_node=1, master_addr="algo-1")),
        (["algo-1", "algo-2"], "algo-2", 1, 2, options(nnodes=2, node_rank=1, nproc_per_node=1, master_addr="algo-1")),
        (["algo-2", "algo-1"], "algo-2", 8, 16, options(nnodes=2, node_rank=1, nproc_per_node=8, master_addr="algo-1")),
    ],
)
def test_every_gpu_of_every_host_gets_a_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hosts: list[str],
    current: str,
    gpus: int,
    processes: int,
    started: list[str] | None,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    resources(tmp_path, hosts, current, "eth0")
    cluster = Cluster.of(Root(tmp_path))
    assert cluster.processes == processes
    assert (cluster.options and sorted(cluster.options)) == started
    if cluster.options:
        parsed = torchrun.parse_args([*cluster.options, "--module", "jobs", "train"])  # type: ignore[no-untyped-call]
        assert (parsed.shutdown_timeout, parsed.training_script_args) == (100, ["train"])
    named = "NCCL_SOCKET_IFNAME" in cluster.environment and "GLOO_SOCKET_IFNAME" in cluster.environment
    assert named == (len(hosts) > 1)


def test_without_a_resource_configuration_the_host_is_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cluster = Cluster.of(Root(tmp_path))
    assert (cluster.hosts, cluster.processes) == (("localhost",), 2)


def test_a_resource_configuration_without_this_host_is_refused(tmp_path: Path) -> None:
    resources(tmp_path, ["algo-1"], "algo-2")
    with pytest.raises(JobError, match="must name hosts and the current_host among them; it has"):
        Cluster.of(Root(tmp_path))


def ends_with(code: int) -> Callable[[object], None]:
    def fail(_arguments: object) -> None:
        raise ChildFailedError("jobs", {3: ProcessFailure(0, 4242, code, "<N/A>")})

    return fail


def stopped(_arguments: object) -> None:
    raise SignalException("got SIGTERM", signal.SIGTERM)


def lost(_arguments: object) -> None:
    raise torch.distributed.DistStoreError("timed out after 900000ms waiting for clients")


@pytest.mark.parametrize(
    ("run", "error", "sentence"),
    [
        (ends_with(1), JobError, "process 3 ended with code 1: the job's log has its error"),
        (ends_with(-signal.SIGKILL), JobError, "process 3 was ended by SIGKILL: .* take a larger instance type"),
        (ends_with(STOPPED), Interrupted, "stopped, as those of another host were told to"),
        (stopped, Interrupted, "were told to stop"),
        (lost, JobError, "the hosts of this job did not find each other: timed out"),
    ],
)
def test_every_end_of_the_processes_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[object], None], error: type[BaseException], sentence: str
) -> None:
    monkeypatch.setattr(torchrun, "run", run)
    with pytest.raises(error, match=sentence):
        launch(options(), {})


@pytest.fixture
def hosts(tmp_path: Path) -> list[Path]:
    """The roots of two hosts of one job, with the same channels."""
    bucket = Bucket(tmp_path / "bucket", list(CLASSES))
    put_dataset(bucket, counts={"train": 24, "validation": 9})
    names = ["127.0.0.1", "127.0.0.2"]
    roots = [tmp_path / name for name in names]
    for root, name in zip(roots, names, strict=True):
        hyperparameters(root, epochs=400, batch_size=9, learning_rate=0.005)
        resources(root, names, name)
        (root / "input" / "data").mkdir()
        (root / "input" / "data" / "images").symlink_to(bucket.folder)
        (root / "input" / "data" / "dataset").symlink_to(bucket.dataset(VERSION))
    return roots


def test_two_hosts_train_together_and_stop_together(hosts: list[Path], port: int) -> None:
    """`python -m jobs train` on each of two hosts; SageMaker stops one a moment before the other."""
    environment = {**os.environ, "PET_MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jobs", "train"]
    logs = [(root / "log").open("w") for root in hosts]
    both = [
        subprocess.Popen(command, cwd=ROOT, env={**environment, "ML_ROOT": str(root)}, stdout=log, stderr=log)
        for root, log in zip(hosts, logs, strict=True)
    ]
    deadline = time.monotonic() + 400
    while "epoch=2 " not in (hosts[0] / "log").read_text():
        running = all(process.poll() is None for process in both) and time.monotonic() < deadline
        assert running, "\n".join((root / "log").read_text() for root in hosts)
        time.sleep(0.05)
    both[1].send_signal(signal.SIGTERM)
    codes = [process.wait(90) for process in both]
    for log in logs:
        log.close()
    told = [(root / "log").read_text() for root in hosts]
    assert codes == [STOPPED, STOPPED], told
    assert "training on 2 x processor" in told[0]
    assert all("checkpoint written" in log for log in told)
    # The first host writes, the other has nothing to copy to the bucket.
    assert [len(list(root.glob("checkpoints/checkpoint-*.pt"))) for root in hosts] == [2, 0]
    assert not [root for root in hosts if (root / "output" / "failure").exists()]
