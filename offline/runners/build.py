"""A container build: what CodeBuild, Docker and the push to ECR do, as far as files and the Dockerfile's words go.

The project's own buildspec is not run: this takes its place, so that no laptop needs Docker.
"""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from offline.runners import Job, JobFailed, images, storage

_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def work(job: Job) -> None:
    """Build the image that the environment variable IMAGE_URI names from the project's source.

    Raises:
        JobFailed: no source, no Dockerfile, a line of it that this account cannot do, or no repository to push to.
    """
    credentials = job.credentials
    uri = job.request["environment"].get("IMAGE_URI", "")
    if not uri:
        raise JobFailed("the build has no environment variable IMAGE_URI: it would not know what to push")
    if not job.request["privilegedMode"]:
        raise JobFailed("Cannot connect to the Docker daemon: set privilegedMode in the project's environment")
    job.phase("DOWNLOAD_SOURCE", "")
    source = _unpacked(job, job.state.client("s3", **credentials))
    job.check()
    job.phase("BUILD", "")
    folder, repository, tag = images.folder_of(job.state.folder / "images", uri)
    image = _parsed(source)
    built = job.folder / "image"
    _lay_out(image, source, built / "rootfs")
    image.save(built)
    job.check()
    job.phase("POST_BUILD", "")
    _check_repository(job, repository)
    _push(job.state.client("ecr", **credentials), repository, tag, built)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    built.rename(folder)


def _unpacked(job: Job, s3: Any) -> Path:
    source: Mapping[str, Any] = job.request["source"]
    if source["type"] != "S3":
        raise JobFailed(f"the source type is {source['type']}; this account builds from a zip in S3")
    folder = job.folder / "source"
    try:
        with zipfile.ZipFile(io.BytesIO(storage.read(s3, f"s3://{source['location']}"))) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile:
        raise JobFailed(f"the source {source['location']} is not a zip") from None
    return folder


def _parsed(source: Path) -> images.Image:
    dockerfile = source / "Dockerfile"
    if not dockerfile.is_file():
        raise JobFailed(f"failed to read dockerfile: open Dockerfile: no such file; the source has {_names(source)}")
    try:
        return images.Image.parse(dockerfile.read_text())
    except images.DockerfileError as error:
        raise JobFailed(str(error)) from None


def _names(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"


def _lay_out(image: images.Image, context: Path, rootfs: Path) -> None:
    """Copy what each COPY names: a folder's content, or files."""
    for source, target in image.copies:
        found = [context] if source in (".", "./") else sorted(context.glob(source.strip("/")))
        if not found:
            raise JobFailed(f"COPY {source} {target}: not found in the build context, which has {_names(context)}")
        place = rootfs / target.strip("/")
        for path in found:
            if path.is_dir():
                shutil.copytree(path, place, dirs_exist_ok=True)
            else:
                into = place / path.name if target.endswith("/") or len(found) > 1 else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)
    rootfs.mkdir(parents=True, exist_ok=True)


def _check_repository(job: Job, repository: str) -> None:
    """Without this moto breaks where ECR refuses."""
    try:
        job.state.client("ecr").describe_repositories(repositoryNames=[repository])
    except ClientError as error:
        raise JobFailed(f"push to {repository} denied: {error.response['Error']['Message']}") from None


def _push(ecr: Any, repository: str, tag: str, built: Path) -> None:
    """Register the image: its digest follows from its content, as in any registry."""
    layer = hashlib.sha256()
    for file in sorted(path for path in built.rglob("*") if path.is_file()):
        layer.update(file.relative_to(built).as_posix().encode() + b"\0" + file.read_bytes())
    config = (built / "image.json").read_bytes()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "digest": f"sha256:{layer.hexdigest()}",
                "size": sum(path.stat().st_size for path in built.rglob("*") if path.is_file()),
            }
        ],
    }
    already = getattr(ecr.exceptions, "ImageAlreadyExistsException", ClientError)
    try:
        with suppress(already):
            ecr.put_image(
                repositoryName=repository,
                imageTag=tag,
                imageManifest=json.dumps(manifest),
                imageManifestMediaType=_MANIFEST_TYPE,
            )
    except ClientError as error:
        raise JobFailed(f"push to {repository}:{tag} denied: {error.response['Error']['Message']}") from None
