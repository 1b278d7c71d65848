"""The files of a round's pool: what is in it, and which images a job has to fetch for it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from reefloop import contracts, storage
from reefloop.labeling import manifest, pool, rounds


def write_pool_once(bucket: str, round_: str, *, gold: list[str]) -> datetime:
    """Write pool.manifest, unless the round listed some image before; when it was written."""
    key = contracts.round_key(round_, "pool.manifest")
    found = storage.find(bucket, key)
    if found is None or found.size_bytes == 0:
        _write_pool(bucket, round_, gold=gold)
        found = next(storage.list_objects(bucket, key))
    return found.modified


def _write_pool(bucket: str, round_: str, *, gold: list[str]) -> None:
    """Write pool.manifest: every image that is new, with its content, and say in the log how many were not."""
    taken = rounds.taken(bucket, besides=round_)
    tally: Counter[str] = Counter()
    new = pool.new_images(
        storage.list_objects(bucket, contracts.IMAGES),
        known=taken.contents,
        known_keys={*taken.keys, *gold},
        tally=tally,
    )
    with storage.writing(bucket, contracts.round_key(round_, "pool.manifest")) as file:
        for stored in new:
            address = storage.uri(bucket, stored.key)
            file.write(manifest.line({manifest.SOURCE: address, manifest.CONTENT: pool.content(stored)}))
    print(json.dumps({"round": round_, **tally}))


def write_images(bucket: str, round_: str) -> int:
    """Write images.json, the S3 ManifestFile of all images of the pool; the number of them."""
    objects = 0

    def pooled() -> Iterator[str]:
        nonlocal objects
        keys = rounds.image_keys(bucket, contracts.round_key(round_, "pool.manifest"))
        for objects, key in enumerate(keys, start=1):  # noqa: B007 - the count outlives the loop
            yield key

    with storage.writing(bucket, contracts.round_key(round_, "images.json")) as file:
        file.writelines(pool.manifest_file(bucket, pooled()))
    return objects


def write_known(bucket: str, round_: str, keys: Iterable[str]) -> None:
    """Write known-images.json, the S3 ManifestFile of the images whose label is known."""
    with storage.writing(bucket, contracts.round_key(round_, "known-images.json")) as file:
        file.writelines(pool.manifest_file(bucket, keys))
