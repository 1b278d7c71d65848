"""Uploads frames to S3, one at a time, with the credentials of the token exchange service."""

import io
import logging
import mimetypes
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
)

from classifier.budget import SHARES, Budget
from classifier.clock import Clock
from classifier.spool import Spool, StoredUpload
from classifier.uplink.backoff import Backoff

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 20.0
"""To connect, and for each block of 16 KB: slower than 800 bytes a second is no link."""
READ_SECONDS: Final = 60.0
FIRST_RETRY_SECONDS: Final = 2.0
LAST_RETRY_SECONDS: Final = 300.0
DENIED_SECONDS: Final = 900.0
"""After what only a person can mend."""
ASIDE_SECONDS: Final = 86_400.0
"""A frame that S3 refuses for itself is not tried again for so long."""
LONGEST_BUDGET_WAIT_SECONDS: Final = 60.0
"""The budget may be raised meanwhile."""

OVERHEAD_BYTES: Final = 8 * 1024
"""Beside the frame: a TLS handshake with the certificates of Amazon, about 6 KB, as S3 closes the connection between
two frames; and the headers of the request and of its answer."""
CONNECT_BYTES: Final = 1024
"""To ask for an address and for a connection, as often as Linux does within the time for it."""
SEGMENTS: Final = 1.05
"""Headers of TCP/IP and TLS, for each byte of a frame."""
METADATA_CHARACTERS: Final = 256
"""Of one value. S3 takes 2 KB in all: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""


class Fault(Enum):
    """What an upload that failed says, and what follows."""

    OFFLINE = "no connection"
    LOST = "no answer"
    BUSY = "S3 asks to be left alone for a while"
    EXPIRED = "the credentials are no longer valid"
    DENIED = "S3 takes nothing from this device"
    REFUSED = "S3 does not take this frame"


# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
_FAULTS: Final[Mapping[str, Fault]] = {
    **dict.fromkeys(
        ("SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "InternalError", "ServiceUnavailable"),
        Fault.BUSY,
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"),
        Fault.EXPIRED,
    ),
    **dict.fromkeys(
        (
            "EntityTooLarge",
            "InvalidArgument",
            "InvalidDigest",
            "BadDigest",
            "InvalidRequest",
            "KeyTooLongError",
            "MetadataTooLarge",
        ),
        Fault.REFUSED,
    ),
}


# Nothing of the frame has left.
_OFFLINE: Final = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError, CredentialRetrievalError)


class NotUploaded(Exception):
    """The bucket does not have the frame, as far as is known; the message says why."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(f"{fault.value}: {reason}")
        self.fault = fault


class Bucket:
    """S3, one attempt a call, so that each is paid for. Credentials are looked for when they are first needed.

    The container credentials provider asks the token exchange service for them, and again before they expire:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """

    def __init__(
        self, name: str, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
    ) -> None:
        self._name = name
        self._config = Config(
            connect_timeout=connect_seconds, read_timeout=read_seconds, retries={"total_max_attempts": 1}
        )
        self._client: Any = None

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Put one object.

        Raises:
            NotUploaded: it is not there, or it is and the answer was lost.
        """
        try:
            if self._client is None:
                # Not boto3's own session: one that found no credentials looks for none again.
                self._client = boto3.session.Session().client("s3", config=self._config)
            self._client.put_object(
                Bucket=self._name,
                Key=key,
                Body=io.BytesIO(content),  # sent in blocks, each with a time limit of its own
                ContentType=mimetypes.guess_type(key, strict=False)[0] or "application/octet-stream",
                Metadata={name: ascii_only(value) for name, value in metadata.items()},
            )
        except ClientError as error:
            fault = _fault(error)
            if fault is Fault.EXPIRED:
                self._client = None
            raise NotUploaded(fault, str(error)) from error
        # Beside botocore's own: the socket's, and RuntimeError where a clock that jumped makes credentials
        # that are fresh look old.
        except (BotoCoreError, OSError, RuntimeError, ValueError) as error:
            self._client = None
            fault = Fault.OFFLINE if isinstance(error, _OFFLINE) else Fault.LOST
            raise NotUploaded(fault, f"{type(error).__name__}: {error}") from error


Put = Callable[[str, bytes, Mapping[str, str]], None]
"""Key, content and metadata of an object; raises NotUploaded."""


class Uploader:
    """A step of its stage: the frame that is worth most. It leaves the spool once the bucket has it."""

    def __init__(self, put: Put, spool: Spool, budget: Budget, clock: Clock) -> None:
        self.uploaded = 0
        self.trouble = ""
        """Why no frame leaves; empty while they do."""
        self._put, self._spool, self._budget, self._clock = put, spool, budget, clock
        self._retry = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        self._denied_until = 0.0
        self._aside: dict[str, float] = {}
        """Frames that S3 refuses for themselves, and when they are tried again."""

    def step(self) -> float:
        """Upload one frame, if one may leave. This takes as long as the link takes, and ends when that stands still.
        Returns the seconds until there may be more to do."""
        now = self._clock.elapsed()
        if wait := max(self._retry.wait(now), self._denied_until - now, 0.0):
            return wait
        self._aside = {number: until for number, until in self._aside.items() if until > now}
        upload = self._spool.next_upload(besides=self._aside.keys())
        if upload is None:
            return IDLE_SECONDS
        size = cost(upload)
        if size > self._budget.most("frame"):
            self.trouble = (
                f"a frame of {len(upload.content)} bytes is lost: to send it costs {size}, and bytes_per_hour and "
                f"bytes_per_day leave at most {self._budget.most('frame')} for frames"
            )
            log.warning("%s: %s", upload.key, self.trouble)
            self._spool.discard(upload.id)
            return 0.0
        if not self._budget.spend("frame", size):
            return min(self._budget.wait("frame", size), LONGEST_BUDGET_WAIT_SECONDS)
        try:
            self._put(upload.key, upload.content, upload.metadata)
        except NotUploaded as error:
            if error.fault is Fault.OFFLINE:  # or a day without a link would use up a day's budget
                self._budget.refund(size)
                self._budget.spend("frame", CONNECT_BYTES)
            self._failed(upload, error)
            return 0.0
        self._spool.uploaded(upload.id)
        self._retry.succeeded()
        self.trouble, self.uploaded = "", self.uploaded + 1
        return 0.0

    def close(self) -> None:
        """It holds nothing open."""

    def _failed(self, upload: StoredUpload, error: NotUploaded) -> None:
        """Keep the frame, and leave S3, or this frame, alone for a while."""
        log.warning("%s is not uploaded: %s", upload.key, error)
        now = self._clock.elapsed()
        if error.fault is Fault.REFUSED:
            self._aside[upload.id] = now + ASIDE_SECONDS
            return
        self.trouble = str(error)
        if error.fault is Fault.DENIED:
            self._denied_until = now + DENIED_SECONDS
        else:
            self._retry.failed(now)


def cost(upload: StoredUpload) -> int:
    """Bytes on the link for one attempt, both ways."""
    return int(len(upload.content) * SEGMENTS) + OVERHEAD_BYTES


def room(*, per_hour: int, per_day: int) -> int:
    """The most bytes that a frame should have under such a budget, so as to leave at all.

    It takes half of what frames may spend: messages count in the same window, so that one that needed all of it would
    wait for ever, and with it every frame of less value.
    """
    return max(0, int((min(per_hour, per_day) * SHARES["frame"] / 2 - OVERHEAD_BYTES) / SEGMENTS))


def ascii_only(text: str) -> str:
    """A text as S3's metadata allows it: what is not printable ASCII, and %, is percent-encoded; cut where too long."""
    encoded = ""
    for character in text:
        part = quote(character, safe=_SAFE, errors="replace")
        if len(encoded) + len(part) > METADATA_CHARACTERS:
            break
        encoded += part
    return encoded


_SAFE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def _fault(error: ClientError) -> Fault:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # What is not known here waits for a person, and is kept.
    return _FAULTS.get(code) or (Fault.BUSY if status >= 500 else Fault.DENIED)
