"""What jobs read from S3 and write to it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from moto.s3.models import s3_backends

from offline.runners import JobFailed
from offline.state import ACCOUNT_ID


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    if not uri.startswith("s3://"):
        raise JobFailed(f"ClientError: {uri!r} is not an S3 URI: it must start with s3://")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def read(s3: Any, uri: str) -> bytes:
    bucket, key = split(uri)
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def region(bucket: str) -> str:
    """Where a bucket is; "" when there is none of that name. The account knows, no permission is asked for it."""
    found = _objects().buckets.get(bucket)
    return str(found.region_name) if found else ""


class Many:
    """The reads and writes of one job, where there are many.

    The first read and the first write in each folder are calls of the job's role, so that a permission that is
    missing is missed. The others go to the objects themselves, which lie in this process: 0.1 ms instead of 6 to 8.
    Folders count to their third level, and what a policy says of single objects in one goes unnoticed.
    """

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._asked: set[tuple[str, str]] = set()

    def read(self, uri: str) -> bytes:
        bucket, key = split(uri)
        folder = _folder(uri)
        if ("read", folder) in self._asked and (found := _objects().get_object(bucket, key)) is not None:
            body: bytes = found.value
            return body
        self._asked.add(("read", folder))
        return read(self._s3, uri)

    def write(self, uri: str, body: bytes) -> None:
        bucket, key = split(uri)
        folder = _folder(uri)
        if ("write", folder) in self._asked:
            _objects().put_object(bucket, key, body)
        else:
            self._asked.add(("write", folder))
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)


def _folder(uri: str) -> str:
    """The bucket with the first three levels of folders."""
    return "/".join(uri.split("/")[:-1][:6])


def _objects() -> Any:
    return s3_backends[ACCOUNT_ID]["aws"]


def listed(s3: Any, source: Mapping[str, Any], *, allow_none: bool = False) -> list[tuple[str, str]]:
    """(S3 URI, path relative to where the channel or input is put) of every object that a source names.

    Args:
        source: S3DataSource of a training channel or S3Input of a processing job: S3Prefix names what begins with
            S3Uri, ManifestFile a JSON list of a common prefix and the rest of each URI.
            https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html

    Raises:
        JobFailed: nothing is there and that is not allowed, or the manifest is none.
    """
    uri, kind = source["S3Uri"], source["S3DataType"]
    if kind == "S3Prefix":
        found = list(_by_prefix(s3, uri))
    elif kind == "ManifestFile":
        found = list(_by_manifest(uri, read(s3, uri)))
    else:
        raise JobFailed(f"ClientError: S3DataType is {kind}; this account knows S3Prefix and ManifestFile")
    if not found and not allow_none:
        raise JobFailed(f"ClientError: Data download failed: no objects found under {uri}")
    return sorted(found)


def _by_prefix(s3: Any, uri: str) -> Iterator[tuple[str, str]]:
    bucket, prefix = split(uri)
    # A prefix need not end at a folder: data/im names data/image.png, which then is image.png.
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix.rpartition('/')[0]}/".lstrip("/")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            key = item["Key"]
            if not key.endswith("/"):
                inside = key.removeprefix(f"{prefix}/") if key.startswith(f"{prefix}/") else key.removeprefix(folder)
                yield f"s3://{bucket}/{key}", inside


def _by_manifest(uri: str, body: bytes) -> Iterator[tuple[str, str]]:
    try:
        first, *rest = json.loads(body)
        prefix = first["prefix"]
    except (ValueError, TypeError, KeyError):
        raise JobFailed(
            f"ClientError: {uri} is not a manifest: it must be a JSON list that begins with "
            '{"prefix": "s3://bucket/folder/"}'
        ) from None
    for name in rest:
        yield f"{prefix}{name}", name


def download(s3: Any, objects: list[tuple[str, str]], folder: Path) -> None:
    """Put each object at its relative path below the folder.

    Raises:
        JobFailed: a path leads out of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for uri, name in objects:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise JobFailed(f"ClientError: the object {uri} would be put outside its folder, at {name!r}")

    many = Many(s3)
    for uri, name in objects:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(many.read(uri))


def upload(s3: Any, folder: Path, uri: str, *, files: Iterable[Path] | None = None) -> None:
    """Write every file below the folder, or those of them that are given, to the same relative path below the URI."""
    many = Many(s3)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()) if files is None else files:
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue  # the job may replace its files, checkpoints above all, while they are copied
        many.write(f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}", content)
