"""The way to the cloud: an outbox on disk that looks like the bucket, and S3 that empties it when there is a link."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0


class Offline(Exception):
    """The cloud cannot be reached now."""


class Refusal(Exception):
    """The cloud was reached and does not take this object."""


class Uplink(Protocol):
    """Puts one object into the data bucket."""

    def send(self, key: str, content: bytes) -> None: ...


class S3Uplink:
    """S3 with the credentials of the environment; on a core device, those of the token exchange service."""

    def __init__(self, bucket: str) -> None:
        timeouts = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 2})
        self._client: Any = boto3.client("s3", config=timeouts)
        self._bucket = bucket

    def send(self, key: str, content: bytes) -> None:
        """Put one object.

        Raises:
            Offline: nobody answered.
            Refusal: S3 answered with an error.
        """
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content)
        except ClientError as error:
            raise Refusal(str(error)) from None
        except BotoCoreError as error:
            raise Offline(str(error)) from None


@dataclass(frozen=True)
class Sent:
    """What went up."""

    objects: int = 0
    frames: int = 0
    bytes: int = 0

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(self.objects + other.objects, self.frames + other.frames, self.bytes + other.bytes)


class Outbox:
    """Objects on their way. A file's path under the folder is its key, so a later object of a key replaces it."""

    def __init__(self, folder: Path, uplink: Uplink, *, clock: Callable[[], float]) -> None:
        self._folder, self._uplink, self._clock = folder, uplink, clock
        self._retry_seconds, self._not_before = FIRST_RETRY_SECONDS, float("-inf")
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, content: bytes) -> None:
        """Queue an object. A full disk loses it, and says so."""
        path = self._folder / key
        # Hidden until whole: a half file must never be sent.
        draft = path.with_name(f".{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(path)
        except OSError as error:
            log.warning("%s is lost: %s", key, error)

    def waiting(self) -> list[str]:
        """Keys in the order in which they go: reports before frames."""
        files = [path for path in self._folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        keys = [path.relative_to(self._folder).as_posix() for path in files]
        return sorted(keys, key=lambda key: (key.startswith("images/"), key))

    def drain(self, *, now: bool = False) -> Sent:
        """Send what waits; after a failure, not again before a growing pause, unless it must be `now`."""
        sent = Sent()
        if self._clock() < self._not_before and not now:
            return sent
        failed = False
        for key in self.waiting():
            path = self._folder / key
            content = path.read_bytes()
            try:
                self._uplink.send(key, content)
            except Refusal as error:
                log.warning("%s is refused: %s", key, error)
                failed = True
                continue
            except Offline as error:
                log.warning("offline: %s", error)
                failed = True
                break
            path.unlink()
            sent += Sent(1, int(key.startswith("images/")), len(content))
        self._pause(failed)
        return sent

    def _pause(self, failed: bool) -> None:
        if not failed:
            self._retry_seconds, self._not_before = FIRST_RETRY_SECONDS, float("-inf")
            return
        # Jitter: a fleet that lost one cell tower must not come back in step.
        self._not_before = self._clock() + self._retry_seconds * random.uniform(0.5, 1.0)  # noqa: S311
        self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)
