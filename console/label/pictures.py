"""Images on their way from the bucket to the page."""

import io
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError
from PIL import Image

from console.clients import Clients
from console.label.batch import list_keys
from console.photos import LARGEST_BYTES, SUFFIXES

_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png"}
_MISSING: Final = {"NoSuchKey", "404"}


class Unreadable(Exception):
    """There is no image, and there will be none: nobody can answer this object."""


@dataclass(frozen=True)
class Picture:
    """An image as it is stored. `size` is width and height in pixels."""

    body: bytes
    media_type: str
    size: tuple[int, int]


def fetch(clients: Clients, bucket: str, key: str) -> Picture:
    """An image of the bucket. It is decoded here: browsers show half an image without a word.

    Raises:
        Unreadable: there is no such key, or no JPEG or PNG under it.
        botocore.exceptions.ClientError, BotoCoreError: S3 did not answer as it should; it may another time.
    """
    if not key:
        raise Unreadable("its line in the tasks manifest names no image of this bucket")
    try:
        answer = clients("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if _is_missing(clients, bucket, key, error.response["Error"]["Code"]):
            raise Unreadable(f"s3://{bucket}/{key} is not there") from error
        raise
    if answer["ContentLength"] > LARGEST_BYTES:
        raise Unreadable(f"s3://{bucket}/{key} has {answer['ContentLength']} bytes; {LARGEST_BYTES} are allowed")
    body = answer["Body"].read()
    try:
        return _open(body)
    # Pillow's decoders raise nearly anything on bytes that are not an image.
    except Exception as error:
        raise Unreadable(f"s3://{bucket}/{key} is no JPEG or PNG: {error or type(error).__name__}") from error


def _is_missing(clients: Clients, bucket: str, key: str, code: str) -> bool:
    """Who may list only a part of a bucket is told "access denied" of keys that do not exist:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
    if code != "AccessDenied":
        return code in _MISSING
    return key not in list_keys(clients, bucket, key)


def _open(body: bytes) -> Picture:
    with Image.open(io.BytesIO(body), formats=("JPEG", "PNG")) as image:
        picture = Picture(body, _TYPES[SUFFIXES[image.format or ""]], image.size)
        # A JPEG need not be decoded to its full size to be read to its end.
        image.draft("RGB", (1, 1))
        image.load()
        return picture
