"""Makes the /opt/ml of a job again, as SageMaker made it, from the job's description and S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html

One machine stands for all that the job had: it gets the objects of every shard, and its resourceconfig.json names one
host. Nothing is ever written back to S3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workstation.machine import Problem, Settings, aws
from workstation.s3 import S3

ML = "/opt/ml"
HOST = "algo-1"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
Description = Mapping[str, Any]


@dataclass(frozen=True)
class Container:
    """What the job ran, and what it had beside its files. Lies beside them, as job.json."""

    image_uri: str
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path) -> Container:
        values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        return cls(values["image_uri"], tuple(values["entrypoint"]), tuple(values["arguments"]), values["environment"])


def recreate(name: str, home: Path, *, settings: Settings, s3: S3, checkpoints: bool = True) -> Path:
    """The folder of a job below `home`: `ml` is what the container sees as /opt/ml.

    Raises:
        Problem: no such job, or something of it cannot be read.
    """
    if not NAME.fullmatch(name):
        raise Problem(f"{name!r} is no name of a job: letters, digits and hyphens, 63 at most")
    folder = home / name
    if folder.exists():
        raise Problem(f"{folder} is there already: reefloop run uses it, rm -r {folder} makes room for a new one")
    # An interrupted download goes on in the same place.
    building = home / f"{name}.partial"
    kind, description = describe(name, settings.region)
    container = (
        _training(building / "ml", description, s3, checkpoints)
        if kind == "training"
        else _processing(building / "ml", description, s3)
    )
    _write(building / "job.json", vars(container))
    building.rename(folder)
    return folder


def describe(name: str, region: str) -> tuple[str, Description]:
    """What SageMaker knows of a job of this name, a training job or else a processing job."""
    problems = []
    for kind in ("training", "processing"):
        try:
            answer = aws(region, "sagemaker", f"describe-{kind}-job", f"--{kind}-job-name", name)
        except Problem as problem:
            problems.append(str(problem))
        else:
            return kind, answer
    raise Problem("; ".join(problems))


def _training(ml: Path, job: Description, s3: S3, checkpoints: bool) -> Container:
    channels = job.get("InputDataConfig") or []
    for part in ("model", "output/data", "checkpoints", "input/data", "input/config"):
        (ml / part).mkdir(parents=True, exist_ok=True)
    files = {
        "hyperparameters.json": job.get("HyperParameters") or {},
        "inputdataconfig.json": {channel["ChannelName"]: _channel(job, channel) for channel in channels},
        "resourceconfig.json": _resources(job),
    }
    for name, content in files.items():
        _write(ml / "input" / "config" / name, content)
    for channel in channels:
        name = channel["ChannelName"]
        found = s3.listed(channel["DataSource"]["S3DataSource"])
        print(f"channel {name}: {s3.download(found, ml / 'input' / 'data' / name)} objects", flush=True)
    if checkpoints and (config := job.get("CheckpointConfig")):
        source = {"S3DataType": "S3Prefix", "S3Uri": f"{config['S3Uri'].rstrip('/')}/"}
        folder = _below(ml, config.get("LocalPath") or f"{ML}/checkpoints")
        print(f"checkpoints: {s3.download(s3.listed(source), folder)} objects", flush=True)
    algorithm = job["AlgorithmSpecification"]
    entrypoint = tuple(algorithm.get("ContainerEntrypoint") or ())
    arguments = tuple(algorithm.get("ContainerArguments") or (() if entrypoint else ("train",)))
    environment = {
        **(job.get("Environment") or {}),
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
    }
    return Container(algorithm["TrainingImage"], entrypoint, arguments, environment)


def _channel(job: Description, channel: Description) -> dict[str, str]:
    mode = channel.get("InputMode") or job["AlgorithmSpecification"]["TrainingInputMode"]
    if mode == "Pipe" or (channel.get("CompressionType") or "None") != "None":
        raise Problem(f"channel {channel['ChannelName']} is a pipe or compressed: this command makes files")
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": mode,
        "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
        "RecordWrapperType": channel.get("RecordWrapperType") or "None",
    }


def _resources(job: Description) -> dict[str, Any]:
    kind = job["ResourceConfig"].get("InstanceType", "")
    group = {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": [HOST]}
    return {
        "current_host": HOST,
        "current_instance_type": kind,
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST],
        "instance_groups": [group],
        "network_interface_name": "eth0",
    }


def _processing(ml: Path, job: Description, s3: S3) -> Container:
    (ml / "output").mkdir(parents=True, exist_ok=True)
    _write(ml / "config" / "processingjobconfig.json", job)
    _write(ml / "config" / "resourceconfig.json", {"current_host": HOST, "hosts": [HOST]})
    for item in job.get("ProcessingInputs") or []:
        if "S3Input" not in item:
            raise Problem(f"input {item['InputName']} is no S3Input: this command reads S3 alone")
        source = item["S3Input"]
        count = s3.download(s3.listed(source), _below(ml, source["LocalPath"]))
        print(f"input {item['InputName']}: {count} objects", flush=True)
    for item in (job.get("ProcessingOutputConfig") or {}).get("Outputs") or []:
        _below(ml, item["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    application = job["AppSpecification"]
    return Container(
        application["ImageUri"],
        tuple(application.get("ContainerEntrypoint") or ()),
        tuple(application.get("ContainerArguments") or ()),
        {**(job.get("Environment") or {}), "PROCESSING_JOB_ARN": job["ProcessingJobArn"]},
    )


def _below(ml: Path, path: str) -> Path:
    """Where a path of the container is on this machine."""
    if not path.startswith(f"{ML}/") or ".." in path.split("/"):
        raise Problem(f"the job's path {path!r} is not below {ML}/")
    return ml / path[len(ML) + 1 :]


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
