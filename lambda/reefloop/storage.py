"""Reading and writing S3: listings and lines are streamed, so that a round of a million objects fits a function."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from botocore.exceptions import ClientError

from reefloop import clients

# HeadObject has no body to carry a code, so botocore reports the bare status.
_MISSING: Final = frozenset({"404", "NoSuchKey"})

_CHUNK_BYTES: Final = 1 << 20
# Of a SHA-256 in hexadecimal: enough to name one of a few.
DIGEST_DIGITS: Final = 16


class ObjectMissing(Exception):
    """An object that must exist does not."""


class ObjectInvalid(Exception):
    """An object exists and cannot be read as what it should be."""


@dataclass(frozen=True)
class Stored:
    """One object of a bucket; `etag` without the quotes that S3 puts around it."""

    key: str
    etag: str
    size_bytes: int
    modified: datetime


def uri(bucket: str, key: str) -> str:
    """The S3 URI of an object: the key as it is, never percent-encoded."""
    return f"s3://{bucket}/{key}"


def split_uri(address: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI; both are "" when it is none."""
    if not address.startswith("s3://"):
        return "", ""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def list_objects(bucket: str, prefix: str) -> Iterator[Stored]:
    """Every object below a prefix, in the byte order of the keys, one page of the listing in memory at a time."""
    for page in clients.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield Stored(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])


def list_folders(bucket: str, prefix: str) -> Iterator[str]:
    """The names of the folders right below a prefix, without walking through what they hold."""
    pages = clients.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    for page in pages:
        for item in page.get("CommonPrefixes", []):
            yield item["Prefix"].removeprefix(prefix).rstrip("/")


def find(bucket: str, key: str) -> Stored | None:
    """What the bucket knows about an object, or None when there is no such object."""
    try:
        head = clients.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise
    return Stored(key, head["ETag"].strip('"'), head["ContentLength"], head["LastModified"])


def read_lines(bucket: str, key: str) -> Iterator[bytes]:
    """The lines of an object as they are, without their ends, streamed.

    Raises:
        ObjectMissing: at the first line, when there is no such object.
    """
    with _body(bucket, key) as body:
        yield from body.iter_lines(chunk_size=_CHUNK_BYTES)


def read_json(bucket: str, key: str) -> Any:
    """The value in a JSON object.

    Raises:
        ObjectMissing: when there is no such object.
        ObjectInvalid: when it is not JSON.
    """
    with _body(bucket, key) as body:
        return parse_json(body.read(), source=uri(bucket, key))


def parse_json(content: bytes, *, source: str) -> Any:
    """The value in a JSON text; ObjectInvalid, naming the source, when it is none."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise ObjectInvalid(f"{source} is not valid JSON ({error}): write it again") from None


def write_json(bucket: str, key: str, value: object) -> None:
    """Write one JSON value; the same value gives the same bytes."""
    body = json.dumps(value, indent=2, sort_keys=True).encode()
    clients.s3().put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def delete(bucket: str, key: str) -> None:
    """Delete an object; that there is none is as good."""
    clients.s3().delete_object(Bucket=bucket, Key=key)


@contextmanager
def writing(bucket: str, key: str) -> Iterator[IO[bytes]]:
    """A file that becomes the object when the block ends well, and nothing when it does not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "object")
        with path.open("wb") as file:
            yield file
        clients.s3().upload_file(str(path), bucket, key)


def put_once(bucket: str, key: str, path: Path) -> None:
    """Write a file under a key that is made of its content: what is there already is the same and stays."""
    try:
        with path.open("rb") as file:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
            clients.s3().put_object(Bucket=bucket, Key=key, Body=file, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise


def digest(path: Path) -> str:
    """The first DIGEST_DIGITS of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_DIGITS]


def download(bucket: str, key: str, file: BinaryIO) -> None:
    """Copy an object into an open file and go back to the file's start.

    Raises:
        ObjectMissing: when there is no such object.
    """
    with _must_exist(bucket, key):
        clients.s3().download_fileobj(bucket, key, file)
    file.seek(0)


@contextmanager
def _body(bucket: str, key: str) -> Iterator[Any]:
    with _must_exist(bucket, key):
        body = clients.s3().get_object(Bucket=bucket, Key=key)["Body"]
    with body:
        yield body


@contextmanager
def _must_exist(bucket: str, key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        raise ObjectMissing(
            f"{uri(bucket, key)} does not exist and must be there before this step: write it first"
        ) from None
