"""The instances of a training job, from their start until they are done or taken away."""

import json
import shutil
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from offline.faults import Interruption
from offline.runners import Job
from offline.runners.container import Container
from offline.runners.training import channels
from offline.runners.training.checkpoints import Checkpoints

# A laptop resolves no algo-1, algo-2: hosts are called by addresses of its loopback interface, each its own. Code that
# takes them for what they are, names that reach a host, cannot tell.
_LOOPBACK: Final = "lo0" if sys.platform == "darwin" else "lo"
_FOLDERS: Final = ("input/config", "input/data", "model", "output/data", "checkpoints")


@dataclass(frozen=True)
class End:
    """How the containers ended: the first exit code other than 0, and whether the instances were taken away, and if
    so, for good."""

    code: int
    interrupted: bool
    for_good: bool


@dataclass(frozen=True)
class Instances:
    """One container per host, each with its own /opt/ml, empty of what earlier instances of the job left in theirs."""

    job: Job
    containers: list[Container]
    checkpoints: list[Checkpoints]
    interruption: Interruption | None
    ending: threading.Event

    @classmethod
    def start(cls, job: Job, s3: Any, interruption: Interruption | None) -> Self:
        """Pull the image and download what the job reads, its checkpoints among it, to every host.

        Raises:
            JobFailed: there is no such image, or no data.
        """
        request, ending = job.request, threading.Event()
        for folder in job.folder.glob("ml*"):
            _remove(folder)
        environment = {**request.get("Environment", {}), "TRAINING_JOB_NAME": job.name, "TRAINING_JOB_ARN": job.arn}
        image, count = request["AlgorithmSpecification"]["TrainingImage"], request["ResourceConfig"]["InstanceCount"]
        containers = [
            Container.pull(job, image, host=host, environment=environment, ending=ending)
            for host in range(1, count + 1)
        ]
        job.phase("Downloading", "Downloading input data")
        checkpoints = []
        for number, container in enumerate(containers):
            _configure(container, number, count)
            channels.fetch(container, s3, number, count)
            checkpoints.append(Checkpoints(container, s3, request.get("CheckpointConfig")))
            checkpoints[-1].restore()
            job.check()
        return cls(job, containers, checkpoints, interruption, ending)

    def run(self, on_line: Callable[[str], None]) -> End:
        """Run every container to its end. The first that fails ends the others."""
        code, taken = 0, threading.Event()

        def see(checkpoints: Checkpoints, line: str) -> None:
            on_line(line)
            checkpoints.save_now_and_then()
            if self.interruption and self.interruption.after in line:
                taken.set()
                self.ending.set()

        with ThreadPoolExecutor(len(self.containers)) as pool:
            runs = [
                pool.submit(_run, container, partial(see, kept))
                for container, kept in zip(self.containers, self.checkpoints, strict=True)
            ]
            for run in as_completed(runs):
                if run.exception() or run.result():
                    self.ending.set()
                    code = code or run.result()
        for checkpoints in self.checkpoints:
            checkpoints.save()
        interruption = self.interruption if code and taken.is_set() else None
        return End(code, interruption is not None, interruption is not None and interruption.for_good)

    def failure(self) -> str:
        """What the containers say of their failure.

        https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-signal-success-failure.html
        """
        files = [container.ml / "output" / "failure" for container in self.containers]
        return next((file.read_text(errors="replace")[:1024].strip() for file in files if file.exists()), "")


def _run(container: Container, on_line: Callable[[str], None]) -> int:
    algorithm = container.job.request["AlgorithmSpecification"]
    entrypoint = algorithm.get("ContainerEntrypoint", [])
    # Without an entry point or arguments of its own a container is run as `docker run <image> train`.
    arguments = algorithm.get("ContainerArguments", [] if entrypoint else ["train"])
    return container.run(arguments, entrypoint, on_line)


def _configure(container: Container, number: int, count: int) -> None:
    request = container.job.request
    for folder in _FOLDERS:
        (container.ml / folder).mkdir(parents=True, exist_ok=True)
    hosts = sorted(f"127.0.0.{host}" for host in range(1, count + 1))
    files = {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": channels.described(request),
        "resourceconfig.json": {
            "current_host": hosts[number],
            "current_instance_type": request["ResourceConfig"].get("InstanceType", ""),
            "current_group_name": "homogeneousCluster",
            "hosts": hosts,
            "network_interface_name": _LOOPBACK,
        },
    }
    for name, content in files.items():
        (container.ml / "input" / "config" / name).write_text(json.dumps(content))


def _remove(folder: Path) -> None:
    """Remove a host's files, those of read-only channels among them."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
    shutil.rmtree(folder)
