"""Augmented manifests, Ground Truth's JSON Lines format and the only one between labeling and training.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from reefloop import storage

SOURCE: Final = "source-ref"
# Which content an object had when a round took it in; extra keys pass through Ground Truth unchanged.
CONTENT: Final = "content"

IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
"""What Ground Truth shows to people: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-input.html"""


_NAME_BYTES: Final = 255


class ManifestInvalid(Exception):
    """A line of a manifest is not what it should be; the message names the object and the line."""


@dataclass(frozen=True)
class Record:
    """One line. `where` names it in messages, `key` is the image's key in the data bucket."""

    where: str
    key: str
    fields: dict[str, Any]


def is_image(key: str) -> bool:
    """Whether a key names an image by its suffix, in any case."""
    return key.lower().endswith(IMAGE_SUFFIXES)


def is_a_path(key: str) -> bool:
    """Whether a job can keep an object in a file that is called like its key, as SageMaker hands it over.

    S3 takes any text of 1,024 bytes. A file has no empty, "." or ".." folder, and 255 bytes for each of its names.
    """
    return all(name not in ("", ".", "..") and len(name.encode()) <= _NAME_BYTES for name in key.split("/"))


def line(fields: dict[str, Any]) -> bytes:
    """One line of a manifest, its end included.

    ASCII only: a key may hold U+2028 or U+0085, at which some readers of UTF-8 would cut the line.
    """
    return json.dumps(fields).encode("ascii") + b"\n"


def records(lines: Iterable[bytes], *, source: str, bucket: str) -> Iterator[Record]:
    """Each line with its fields and the image that it is about.

    Args:
        lines: as they are in the object; blank ones are skipped.
        source: URI of the manifest, for messages.
        bucket: the bucket in which every image must be.

    Raises:
        ManifestInvalid: at the first line that is no JSON object about an image of this bucket.
    """
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        where = f"{source} line {number}"
        try:
            fields = json.loads(text.decode("utf-8-sig"))
        except ValueError as error:
            raise ManifestInvalid(f"{where} is not JSON in UTF-8 ({error}): write one JSON object per line") from None
        if not isinstance(fields, dict):
            raise ManifestInvalid(f"{where} is {_shown(fields)} and must be a JSON object with {SOURCE!r}")
        address = fields.get(SOURCE)
        owner, key = storage.split_uri(address) if isinstance(address, str) else ("", "")
        if owner != bucket or not is_image(key):
            raise ManifestInvalid(
                f"{where}: {SOURCE} is {_shown(address)} and must be s3://{bucket}/<key> of an image "
                f"({', '.join(IMAGE_SUFFIXES)}): copy the image into that bucket and name it so"
            )
        if not is_a_path(key):
            raise ManifestInvalid(
                f"{where}: {SOURCE} is {_shown(address)}, which cannot be a file's path: no folder may be empty, '.' "
                f"or '..', no name longer than {_NAME_BYTES} bytes; copy the image to another key and name that"
            )
        yield Record(where, key, fields)


def _shown(value: object) -> str:
    """A value as a message shows it: never longer than a line."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
