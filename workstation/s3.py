"""Reads many objects of S3.

The AWS command line reads a whole prefix, or one object per process; a job's images are a list of any keys. So each
object is one signed request: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import http.client
import io
import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from workstation.machine import Problem, aws, output

ENDPOINT = "https://{bucket}.s3.{region}.amazonaws.com"
THREADS = 16
ATTEMPTS = 5
# The role's credentials live for some hours; SDKs ask for new ones early too.
CREDENTIALS_SECONDS = 15 * 60
_FINAL = {403: "the machine's role may not read it", 404: "there is no such object"}
NO_BODY = hashlib.sha256(b"").hexdigest()


class S3:
    """The objects that the machine's role may read."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._lock = threading.Lock()
        self._credentials: Mapping[str, str] = {}
        self._fetched = 0.0

    def read(self, uri: str) -> bytes:
        """
        Raises:
            Problem: it is not there, or the role may not read it.
        """
        body = io.BytesIO()
        self._get(uri, body)
        return body.getvalue()

    def listed(self, source: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """(S3 URI, path in the folder of the channel or input) of every object that a source of a job names.

        Args:
            source: S3DataSource of a training channel or S3Input of a processing job.
                https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
        """
        uri, kind = source["S3Uri"], source["S3DataType"]
        if kind == "S3Prefix":
            return self._prefix(uri)
        if kind == "ManifestFile":
            return manifest(uri, self.read(uri))
        raise Problem(f"{uri} is read as {kind}; this command knows S3Prefix and ManifestFile")

    def download(self, objects: Iterable[tuple[str, str]], folder: Path) -> int:
        """Put each object at its path below the folder; what is there already stays. Returns how many there are.

        Raises:
            Problem: a path leads out of the folder, or an object cannot be read. Nothing was written in the first case.
        """
        wanted = {inside(folder, name, uri): uri for uri, name in objects}
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(self._fetch, wanted.values(), wanted):
                pass
        return len(wanted)

    def _prefix(self, uri: str) -> Iterator[tuple[str, str]]:
        bucket, prefix = split(uri)
        # A prefix need not end at a folder: data/im names data/image.png, which then is image.png.
        folder = prefix[: prefix.rfind("/") + 1]
        found = aws(self._region, "s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix)
        for item in (found or {}).get("Contents") or []:
            key = item["Key"]
            if not key.endswith("/"):
                start = f"{prefix}/" if key.startswith(f"{prefix}/") else folder
                yield f"s3://{bucket}/{key}", key[len(start) :]

    def _fetch(self, uri: str, target: Path) -> None:
        part = target.with_name(f".part-{threading.get_ident()}")
        try:
            if target.is_file():
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                self._get(uri, file)
            part.replace(target)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            # S3 has keys that no file system has: a name that is a folder too, a very long one.
            raise Problem(f"{uri} cannot be a file here: {error.strerror}. Take it out of the job's list") from None
        finally:
            with contextlib.suppress(OSError):
                part.unlink()

    def _get(self, uri: str, file: BinaryIO) -> None:
        bucket, key = split(uri)
        url = f"{ENDPOINT.format(bucket=bucket, region=self._region)}/{quote(key, safe='/~')}"
        problem: object = None
        for attempt in range(ATTEMPTS):
            request = urllib.request.Request(url, headers=signed(url, self._region, self._current()))  # noqa: S310
            try:
                file.seek(0)
                file.truncate()
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (the endpoint is ours)
                    shutil.copyfileobj(answer, file)
                # A connection that breaks off looks like the end of the object.
                if file.tell() == int(answer.headers["Content-Length"]):
                    return
                problem = "it ended early"
            except urllib.error.HTTPError as error:
                if error.code in _FINAL:
                    raise Problem(f"{uri}: {_FINAL[error.code]}") from None
                problem = error
            except (OSError, http.client.HTTPException) as error:
                if getattr(error, "errno", None) == errno.ENOSPC:
                    raise
                problem = error
            time.sleep(0.2 * 2**attempt)
        raise Problem(f"{uri} cannot be read: {problem}")

    def _current(self) -> Mapping[str, str]:
        with self._lock:
            if not self._credentials or time.monotonic() - self._fetched > CREDENTIALS_SECONDS:
                self._credentials = json.loads(
                    output(["aws", "configure", "export-credentials", "--format", "process"])
                )
                self._fetched = time.monotonic()
            return self._credentials


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    scheme, _, path = uri.partition("://")
    bucket, _, key = path.partition("/")
    if scheme != "s3" or not bucket:
        raise Problem(f"{uri!r} is not of the form s3://bucket/key")
    return bucket, key


def manifest(uri: str, body: bytes) -> Iterator[tuple[str, str]]:
    """What a ManifestFile lists: a common prefix, and the rest of each URI."""
    try:
        first, *names = json.loads(body)
        prefix = str(first["prefix"])
    except (ValueError, TypeError, KeyError):
        raise Problem(
            f'{uri} is no manifest: it must be a JSON list that begins with {{"prefix": "s3://…/"}}'
        ) from None
    return ((f"{prefix}{name}", name) for name in map(str, names))


def inside(folder: Path, name: str, uri: str) -> Path:
    """Where an object lies in a folder.

    Raises:
        Problem: elsewhere. Keys come from whoever uploads, and this machine is somebody's.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise Problem(f"{uri} would be put outside its folder, at {name!r}: take it out of the job's list")
    return folder / path


def signed(url: str, region: str, credentials: Mapping[str, str], *, now: datetime | None = None) -> dict[str, str]:
    """The headers that make a GET of this URL one of ours."""
    moment = (now or datetime.now(timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    headers = {"host": parts.netloc, "x-amz-content-sha256": NO_BODY, "x-amz-date": moment}
    if credentials.get("SessionToken"):
        headers["x-amz-security-token"] = credentials["SessionToken"]
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        ["GET", parts.path, parts.query, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, NO_BODY]
    )
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials['SecretAccessKey']}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    del headers["host"]  # the request has it already
    credential = f"{credentials['AccessKeyId']}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers
