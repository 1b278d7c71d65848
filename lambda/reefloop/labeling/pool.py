"""Which images a round takes in: those whose content no round has had yet."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from reefloop.labeling import manifest
from reefloop.storage import Stored


def content(stored: Stored) -> str:
    """What identifies an image by its bytes rather than by its name.

    An ETag differs for the same bytes when they were uploaded in parts of another size or encrypted with a KMS key:
    such a copy counts as new, never the other way round.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    return f"{stored.etag}-{stored.size_bytes}"


def new_images(
    listed: Iterable[Stored], *, known: set[str], known_keys: set[str], tally: Counter[str]
) -> Iterator[Stored]:
    """The listed images that are new, each content once.

    Args:
        listed: objects of the data bucket.
        known: contents that earlier rounds have; grows by each image given out, so that a round of a million
            objects is held once.
        known_keys: keys of images whose label is known already.
        tally: counts the objects by what became of them: new, known, ignored (empty, or no image by its name), misnamed
            (with a key that no file can have; these are named in the log as well).
    """
    for stored in listed:
        if not manifest.is_image(stored.key) or stored.size_bytes == 0:
            tally["ignored"] += 1
        elif not manifest.is_a_path(stored.key):
            tally["misnamed"] += 1
            print(json.dumps({"misnamed": stored.key, "do": "copy the image to a key without '..', './' and '//'"}))
        elif stored.key in known_keys or content(stored) in known:
            tally["known"] += 1
        else:
            tally["new"] += 1
            known.add(content(stored))
            yield stored


def manifest_file(bucket: str, keys: Iterable[str]) -> Iterator[bytes]:
    """The pieces of an S3 ManifestFile that names these objects, one key a line.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    yield b"[" + json.dumps({"prefix": f"s3://{bucket}/"}).encode()
    for key in keys:
        yield b",\n" + json.dumps(key).encode()
    yield b"]\n"
