"""A training job: channels in, the container's work on each host, the model out.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import io
import tarfile
import time
from pathlib import Path
from typing import Any, Final

from offline.runners import Job, JobFailed, JobStopped, storage
from offline.runners.container import Container
from offline.runners.training.instances import Instances
from offline.runners.training.metrics import Metrics

# What is billed of a second on spot: the public examples of managed spot training saved 70 %.
# https://github.com/aws-samples/amazon-sagemaker-managed-spot-training
SPOT_SHARE: Final = 0.3


def work(job: Job) -> None:
    """Do what SageMaker does with a training job, on as many sets of spot instances as it takes.

    Raises:
        JobFailed: no data, no image, or a container ended with an error, which ends those of the other hosts too.
        JobStopped: the job was told to stop; its model and checkpoints are in S3 all the same. Or it lost its spot
            instances and got no others in time; its checkpoints are in S3.
    """
    request, seconds = job.request, 0.0
    spot = bool(request.get("EnableManagedSpotTraining"))
    s3 = job.state.client("s3", **job.credentials)
    metrics = Metrics(job, request["AlgorithmSpecification"].get("MetricDefinitions", []))
    while True:
        instances = Instances.start(job, s3, job.state.faults.take_interruption(request) if spot else None)
        job.phase("Training", "Training image download completed. Training in progress.")
        started = time.monotonic()
        end = instances.run(metrics.take)
        seconds += time.monotonic() - started + 1
        billed = seconds * (SPOT_SHARE if spot else 1)
        job.report({"TrainingTimeInSeconds": int(seconds), "BillableTimeInSeconds": max(1, int(billed))})
        if not end.interrupted or job.stopping.is_set():
            break
        job.phase("Interrupted", "Training job interrupted: the spot instances were taken back")
        if end.for_good:
            raise JobStopped("MaxWaitTimeExceeded")
        job.phase("Starting", "Launching requested ML instances")
    if end.code and not job.stopping.is_set():
        raise JobFailed(f"AlgorithmError: {instances.failure()}, exit code: {end.code}")
    _upload(job, instances.containers, s3)
    job.check()


def _upload(job: Job, containers: list[Container], s3: Any) -> None:
    """The model, and what else is kept: one archive of the files of all hosts.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
    """
    job.phase("Uploading", "Uploading generated training model")
    output = f"{job.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output"
    for folder, name in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
        files = {
            path.relative_to(container.ml / folder).as_posix(): path
            for container in containers
            for path in sorted((container.ml / folder).rglob("*"))
            if path.is_file()
        }
        if files or folder == "model":
            bucket, key = storage.split(f"{output}/{name}")
            s3.put_object(Bucket=bucket, Key=key, Body=_packed(files))
    job.report({"ModelArtifacts": {"S3ModelArtifacts": f"{output}/model.tar.gz"}})


def _packed(files: dict[str, Path]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, file in files.items():
            archive.add(file, arcname=name)
    return packed.getvalue()
