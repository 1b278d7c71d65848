"""A processing job: inputs in, the container's work on each host, outputs out.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Final

from offline.runners import Job, JobFailed, storage
from offline.runners.container import Container

_INPUTS: Final = "/opt/ml/processing/"


def refusal(request: Mapping[str, Any]) -> str:
    """Why CreateProcessingJob refuses an input; "" when it refuses none.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
    """
    for item in request.get("ProcessingInputs", []):
        name, source = item["InputName"], item.get("S3Input")
        if source is None:
            return f"input {name}: this account reads S3Input alone"
        if not (folder := source.get("LocalPath", "")).startswith(_INPUTS):
            return f"input {name}: LocalPath {folder!r} must begin with {_INPUTS}"
    return ""


def work(job: Job) -> None:
    """Do what SageMaker does with a processing job: one container per instance, each with its share of the inputs.

    Raises:
        JobFailed: no data, no image, or a container ended with an error, which ends the others too; ExitMessage holds
            what it said.
        JobStopped: the job was told to stop; its outputs are not uploaded.
    """
    hosts = range(1, job.request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] + 1)
    s3 = job.state.client("s3", **job.credentials)
    ending = threading.Event()
    with ThreadPoolExecutor(len(hosts)) as pool:
        runs = [pool.submit(_run, job, s3, host, len(hosts), ending) for host in hosts]
        for run in as_completed(runs):
            if run.exception():
                ending.set()
                job.check()
                run.result()
    job.check()
    containers = [run.result() for run in runs]
    for output in job.request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        target = output["S3Output"]
        for container in containers:
            if (folder := container.path(target["LocalPath"])).is_dir():
                storage.upload(s3, folder, target["S3Uri"])


def _run(job: Job, s3: Any, host: int, hosts: int, ending: threading.Event) -> Container:
    request, application = job.request, job.request["AppSpecification"]
    container = Container.pull(
        job,
        application["ImageUri"],
        host=host,
        environment={**request.get("Environment", {}), "PROCESSING_JOB_ARN": job.arn},
        ending=ending,
    )
    _configure(container, host, hosts)
    for item in request.get("ProcessingInputs", []):
        _fetch(container, s3, item, host, hosts)
    for output in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        container.path(output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    job.check()
    code = container.run(
        application.get("ContainerArguments", []), application.get("ContainerEntrypoint", []), lambda _: None
    )
    message = container.ml / "output" / "message"
    if message.exists() and not ending.is_set():
        job.report({"ExitMessage": message.read_text(errors="replace")[:1024].strip()})
    if code and not job.stopping.is_set():
        raise JobFailed(f"AlgorithmError: See job logs for more information, exit code: {code}")
    return container


def _configure(container: Container, host: int, hosts: int) -> None:
    config = container.ml / "config"
    config.mkdir(parents=True, exist_ok=True)
    (container.ml / "output").mkdir(exist_ok=True)
    names = [f"algo-{number}" for number in range(1, hosts + 1)]
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": f"algo-{host}", "hosts": names}))
    request = {name: value for name, value in container.job.request.items() if name != "Tags"}
    (config / "processingjobconfig.json").write_text(json.dumps(request, default=str))


def _fetch(container: Container, s3: Any, item: dict[str, Any], host: int, hosts: int) -> None:
    """Download one input; ShardedByS3Key gives each host its share of the objects."""
    source = item["S3Input"]
    objects = storage.listed(s3, source)
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        objects = objects[host - 1 :: hosts]
    storage.download(s3, objects, container.path(source["LocalPath"]))
