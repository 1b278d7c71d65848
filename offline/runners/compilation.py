"""A compilation job: fetches the model, hands it to the compiler, stores what comes out."""

import hashlib
from pathlib import PurePosixPath

from botocore.exceptions import ClientError

from offline.compiler.request import target_name
from offline.runners import Job, JobFailed, storage
from offline.runners.compilers import Compilers
from offline.runners.inference_images import inference_image


def work(job: Job) -> None:
    """Do what Neo's service does with a compilation job.

    Raises:
        JobFailed: with the compiler's message.
        JobStopped: the job was told to stop.
    """
    if "InputConfig" not in job.request:
        raise JobFailed("ClientError: ModelPackageVersionArn: this account compiles what InputConfig names alone")
    config, output = job.request["InputConfig"], job.request["OutputConfig"]
    s3 = job.state.client("s3", **job.credentials)
    job.folder.mkdir(parents=True, exist_ok=True)
    source, target = job.folder / "model.tar.gz", job.folder / "compiled.tar.gz"
    source.write_bytes(_model(job, s3))
    fields = job.state.only(Compilers).compile(job, source, target)
    artifact, name = target.read_bytes(), target_name(output)
    stem = PurePosixPath(config["S3Uri"]).name.removesuffix(".tar.gz")
    uri = f"{output['S3OutputLocation'].rstrip('/')}/{stem}-{name}.tar.gz"
    bucket, key = storage.split(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=artifact)
    if image := inference_image(config["Framework"], config.get("FrameworkVersion", ""), name, job.state.region):
        fields["InferenceImage"] = image
    digest = f"blake2b:{hashlib.blake2b(artifact).hexdigest()}"
    job.report({"ModelArtifacts": {"S3ModelArtifacts": uri}, "ModelDigests": {"ArtifactDigest": digest}, **fields})
    for file in (source, target):
        file.unlink()


def _model(job: Job, s3: object) -> bytes:
    """The tarball. Who compiles looks at the bucket first:
    https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html"""
    uri = job.request["InputConfig"]["S3Uri"]
    bucket, key = storage.split(uri)
    if (region := storage.region(bucket)) not in ("", job.state.region):
        raise JobFailed(
            f"ClientError: InputConfiguration: Bucket {bucket} is in region {region} which is different from AWS "
            f"Sagemaker service region {job.state.region}"
        )
    try:
        return storage.read(s3, uri)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket"):
            raise
        raise JobFailed(
            f"ClientError: InputConfiguration: S3 object does not exist. Bucket: {bucket}, Key: {key}"
        ) from None
