"""A model from elsewhere as the compiler wants it: one gzipped tarball, in a folder here or in a bucket."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.errors import Failure, Refusal
from reefloop import archive
from reefloop.archive import ArchiveInvalid

_URI: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)", re.DOTALL)


class Tarball(Protocol):
    """Where a model is, and how it comes to where the compiler reads."""

    def content(self) -> str:
        """A digest of the bytes."""

    def bring(self, bucket: str, key: str) -> None:
        """Put the bytes there."""


@dataclass(frozen=True)
class File:
    """A tarball on this machine."""

    clients: Clients
    path: Path

    def names(self) -> list[str]:
        """The files in it.

        Raises:
            Refusal: it is not a whole gzipped tarball of files, or not a safe one.
        """
        if not self.path.is_file():
            raise Refusal(f"{self.path} is not a file: --model takes a .tar.gz on this machine or an s3:// URI of one")
        try:
            with self.path.open("rb") as file:
                return archive.names(file, source=str(self.path))
        except ArchiveInvalid as error:
            raise Refusal(f"{error}, with `tar -czf model.tar.gz -C FOLDER FILE …`") from error

    def content(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def bring(self, bucket: str, key: str) -> None:
        try:
            self.clients("s3").upload_file(str(self.path), bucket, key)
        except Boto3Error as error:
            raise Failure(f"{self.path} could not be uploaded: {error}") from error


@dataclass(frozen=True)
class Stored:
    """A tarball in a bucket, as it was when it was looked for. S3 copies it: its bytes do not come by here."""

    clients: Clients
    bucket: str
    key: str
    etag: str
    size: int

    def content(self) -> str:
        return f"{self.etag} {self.size}"

    def bring(self, bucket: str, key: str) -> None:
        source = {"Bucket": self.bucket, "Key": self.key}
        try:
            self.clients("s3").copy(source, bucket, key, ExtraArgs={"CopySourceIfMatch": self.etag})
        except (ClientError, BotoCoreError) as error:
            raise Failure(
                f"s3://{self.bucket}/{self.key} could not be copied to s3://{bucket}/{key}: {error}"
            ) from error


def find(clients: Clients, uri: str) -> Stored:
    """A tarball in S3.

    Raises:
        Refusal: the URI is none, or there is nothing that these credentials may read.
    """
    if not (parts := _URI.fullmatch(uri)):
        raise Refusal(f"{uri!r} is not an S3 URI: s3://BUCKET/KEY names one object")
    bucket, key = parts.groups()
    try:
        found = clients("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # A HEAD has no body: S3 says 403 also where there is nothing and the bucket may not be listed.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        code = error.response["Error"]["Code"]
        why = {"404": "is not there", "403": "is not there, or these credentials may not read it"}.get(code)
        if why is None:
            raise
        raise Refusal(f"{uri} {why}: look with `aws s3 ls`") from error
    return Stored(clients, bucket, key, found["ETag"], found["ContentLength"])
