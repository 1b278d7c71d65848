"""A training job: channels in, the container's work, the model out.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import io
import json
import re
import tarfile
import time
from pathlib import Path
from typing import Any

from offline.runners import Job, JobFailed, now, storage
from offline.runners.container import Container

_HOST = "algo-1"
_CHECKPOINT_SECONDS = 5.0


def work(job: Job) -> None:
    """Do what SageMaker does with a training job.

    Raises:
        JobFailed: no data, no image, or the container ended with an error.
        JobStopped: the job was told to stop; its model and checkpoints are in S3 all the same.
    """
    request = job.request
    s3 = job.state.client("s3", **job.credentials)
    container = Container.pull(
        job,
        request["AlgorithmSpecification"]["TrainingImage"],
        environment={
            **request.get("Environment", {}),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
        },
    )
    job.phase("Downloading", "Downloading input data")
    _configure(container, request)
    for channel in request.get("InputDataConfig", []):
        _check_channel(channel)
        objects = storage.listed(s3, channel["DataSource"]["S3DataSource"])
        storage.download(s3, objects, container.ml / "input" / "data" / channel["ChannelName"])
        job.check()
    checkpoints = Checkpoints(container, s3, request.get("CheckpointConfig"))
    checkpoints.restore()
    job.phase("Training", "Training image download completed. Training in progress.")
    metrics = Metrics(job, request["AlgorithmSpecification"].get("MetricDefinitions", []))

    def on_line(line: str) -> None:
        metrics.take(line)
        checkpoints.save_now_and_then()

    started = time.monotonic()
    code = _run(container, request, on_line)
    seconds = int(time.monotonic() - started) + 1
    job.report({"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds})
    checkpoints.save()
    if code and not job.stopping.is_set():
        raise JobFailed(f"AlgorithmError: {_failure(container)}, exit code: {code}")
    _upload(job, container, s3)
    job.check()


def _check_channel(channel: dict[str, Any]) -> None:
    mode, name = channel.get("InputMode", "File"), channel["ChannelName"]
    if mode != "File" or channel.get("CompressionType", "None") != "None":
        raise JobFailed(f"ClientError: channel {name}: this account downloads uncompressed files (InputMode File)")


def _configure(container: Container, request: Any) -> None:
    config = container.ml / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    for folder in ("model", "output/data", "checkpoints", "input/data"):
        (container.ml / folder).mkdir(parents=True, exist_ok=True)
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": "None",
        }
        for channel in request.get("InputDataConfig", [])
    }
    resources = {
        "current_host": _HOST,
        "current_instance_type": request["ResourceConfig"].get("InstanceType", ""),
        "current_group_name": "homogeneousCluster",
        "hosts": [_HOST],
        "network_interface_name": "lo",
    }
    files = {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": channels,
        "resourceconfig.json": resources,
    }
    for name, content in files.items():
        (config / name).write_text(json.dumps(content))


def _run(container: Container, request: Any, on_line: Any) -> int:
    algorithm = request["AlgorithmSpecification"]
    entrypoint = algorithm.get("ContainerEntrypoint", [])
    # Without an entry point or arguments of its own a container is run as `docker run <image> train`.
    arguments = algorithm.get("ContainerArguments", [] if entrypoint else ["train"])
    return container.run(arguments, entrypoint, on_line)


def _failure(container: Container) -> str:
    file = container.ml / "output" / "failure"
    return file.read_text(errors="replace")[:1024].strip() if file.exists() else ""


def _upload(job: Job, container: Container, s3: Any) -> None:
    job.phase("Uploading", "Uploading generated training model")
    output = f"{job.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output"
    for folder, name in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
        files = sorted(path for path in (container.ml / folder).rglob("*") if path.is_file())
        if files or folder == "model":
            bucket, key = storage.split(f"{output}/{name}")
            s3.put_object(Bucket=bucket, Key=key, Body=_packed(container.ml / folder, files))
    job.report({"ModelArtifacts": {"S3ModelArtifacts": f"{output}/model.tar.gz"}})


def _packed(folder: Path, files: list[Path]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file in files:
            archive.add(file, arcname=file.relative_to(folder).as_posix())
    return packed.getvalue()


class Checkpoints:
    """The folder that SageMaker keeps equal to a place in S3, there before the job starts again.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
    """

    def __init__(self, container: Container, s3: Any, config: dict[str, str] | None) -> None:
        self._uri = (config or {}).get("S3Uri", "")
        self._folder = container.path((config or {}).get("LocalPath", "/opt/ml/checkpoints"))
        self._s3 = s3
        self._saved = time.monotonic()

    def restore(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._uri:
            source = {"S3DataType": "S3Prefix", "S3Uri": f"{self._uri.rstrip('/')}/"}
            storage.download(self._s3, storage.listed(self._s3, source, allow_none=True), self._folder)

    def save_now_and_then(self) -> None:
        if time.monotonic() - self._saved > _CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        if self._uri:
            storage.upload(self._s3, self._folder, self._uri)
        self._saved = time.monotonic()


class Metrics:
    """The last value of each metric, found in the log by the job's own regular expressions."""

    def __init__(self, job: Job, definitions: list[dict[str, str]]) -> None:
        self._job = job
        self._patterns = [(one["Name"], re.compile(one["Regex"])) for one in definitions]
        self._last: dict[str, dict[str, Any]] = {}

    def take(self, line: str) -> None:
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match.group(1))
                except (ValueError, IndexError):
                    continue
                self._last[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
        if self._last:
            self._job.report({"FinalMetricDataList": list(self._last.values())})
