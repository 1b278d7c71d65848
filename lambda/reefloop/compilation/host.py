"""Host: what SageMaker needs to host the compiled model of one target, ready to send."""

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypedDict

from reefloop import archive, contracts, environment, storage
from reefloop.compilation import containers, tarballs
from reefloop.compilation.targets import Target
from reefloop.payloads import CompilationTarget, Hosting, Package

# The least that SageMaker takes: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
_LEAST_SECONDS: Final = 60


class NoContainer(Exception):
    """Neo named no container that serves what it compiled."""


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    timeout_seconds: int


class Event(TypedDict):
    """`name` is that of the model, the endpoint configuration and the endpoint to come."""

    name: str
    model_version: str
    target: CompilationTarget
    package: Package


def handler(event: Event, _context: object) -> Hosting:
    """Write what the container needs beside the compiled model below models/<version>/endpoint/<target>/.

    Raises:
        NoContainer, ArchiveInvalid, ObjectMissing: the message says what to do.
    """
    env = environment.read(Environment)
    target, image = event["target"], event["package"]["inference_image"]
    if not image:
        raise NoContainer(
            f"the compilation job of {target['name']} has no InferenceImage: take {target['name']} out of the targets "
            "of this model, or set compilation.endpoint.enabled to false"
        )
    prefix = contracts.model_key(event["model_version"], f"endpoint/{target['name']}/")
    model_uri, script_uri = event["package"]["artifact_uri"], ""
    match containers.of(image).script:
        case "apart":
            script_uri = _write(env.data_bucket, f"{prefix}script.tar.gz", script=containers.SCRIPT_NAME)
        case "within":
            script = f"code/{containers.SCRIPT_NAME}"
            model_uri = _write(env.data_bucket, f"{prefix}model.tar.gz", script=script, beside=model_uri)
    variables = containers.environment(
        image, script_uri=script_uri, inputs=containers.inputs(target), region=os.environ["AWS_REGION"]
    )
    # SageMaker itself must give up in time: an endpoint that is still being made cannot be deleted.
    patience_seconds = max(env.timeout_seconds, _LEAST_SECONDS)
    return Hosting(
        container={"Image": image, "ModelDataUrl": model_uri, "Environment": variables},
        variants=[
            {
                "VariantName": target["name"].replace("_", "-"),
                "ModelName": event["name"],
                "InstanceType": Target.of(target["record"]).hosted_on,
                "InitialInstanceCount": 1,
                "ModelDataDownloadTimeoutInSeconds": patience_seconds,
                "ContainerStartupHealthCheckTimeoutInSeconds": patience_seconds,
            }
        ],
        deadline=(datetime.now(UTC) + timedelta(seconds=env.timeout_seconds)).isoformat(),
    )


def _write(bucket: str, key: str, *, script: str, beside: str = "") -> str:
    """The URI of a tarball of the script under this name, and of what the tarball `beside` holds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if beside:
            tarballs.extract(beside, folder)
        (folder / script).parent.mkdir(exist_ok=True)
        (folder / script).write_bytes(containers.SCRIPT)
        with storage.writing(bucket, key) as packed:
            files = [path for path in folder.rglob("*") if path.is_file()]
            archive.write_tar(packed, {path.relative_to(folder).as_posix(): path for path in files})
    return storage.uri(bucket, key)
