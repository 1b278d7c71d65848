"""What a round needs to know of the data bucket: its own name, the rounds before it, gold, the last dataset."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reefloop import contracts, storage
from reefloop.labeling import categories, manifest

# A round becomes a dataset version and part of a model version, of S3 keys and of hyperparameters.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class RoundInvalid(Exception):
    """A round has a name that cannot be part of keys and versions."""


def checked_name(round_: str) -> str:
    """The round's name, if it can be one.

    Raises:
        RoundInvalid: naming what is allowed.
    """
    if not isinstance(round_, str) or not _NAME.fullmatch(round_):
        raise RoundInvalid(
            f"round is {round_!r} and must be 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit: "
            "start the execution with another one, for example '2026-11-22'"
        )
    return round_


def category_names(bucket: str, *, task: str = "classification") -> list[str]:
    """The labels that there are; CategoriesInvalid or ObjectMissing when nobody has said so yet."""
    source = storage.uri(bucket, contracts.LABEL_CATEGORIES)
    return categories.names(storage.read_json(bucket, contracts.LABEL_CATEGORIES), source=source, task=task)


def image_keys(bucket: str, key: str) -> Iterator[str]:
    """The keys of the images that a manifest is about, line by line."""
    lines = storage.read_lines(bucket, key)
    for record in manifest.records(lines, source=storage.uri(bucket, key), bucket=bucket):
        yield record.key


def gold_keys(bucket: str) -> list[str]:
    """Keys of the images whose label is known for sure, each once; none when there is no gold manifest."""
    return list(dict.fromkeys(_image_keys_if_any(bucket, contracts.GOLD_MANIFEST)))


def audit_keys(bucket: str, dataset: str) -> list[str]:
    """Keys of the images that earlier rounds audited, each once; none without a dataset ("")."""
    if not dataset:
        return []
    return list(dict.fromkeys(_image_keys_if_any(bucket, contracts.dataset_key(dataset, "audit.manifest"))))


def _image_keys_if_any(bucket: str, key: str) -> Iterator[str]:
    if storage.find(bucket, key):
        yield from image_keys(bucket, key)


@dataclass(frozen=True)
class Taken:
    """What other rounds have had: contents of the images in their pools, keys of those that came with a label."""

    contents: set[str]
    keys: set[str]


def taken(bucket: str, *, besides: str) -> Taken:
    """What all rounds but this one have had, but for what they left over: objects that nobody answered, or whose
    machine labels were withdrawn. An import counts once it has become a dataset."""
    had = Taken(set(), set())
    for round_ in storage.list_folders(bucket, contracts.ROUNDS):
        pool = contracts.round_key(round_, "pool.manifest")
        imported = contracts.round_key(round_, "import.manifest")
        if round_ == besides:
            continue
        if storage.find(bucket, pool):
            left_over = set(_contents_if_any(bucket, contracts.round_key(round_, "left-over.manifest")))
            had.contents.update(one for one in _contents_if_any(bucket, pool) if one not in left_over)
        if storage.find(bucket, imported) and storage.find(bucket, contracts.dataset_key(round_, "card.json")):
            had.keys.update(image_keys(bucket, imported))
    return had


def _contents_if_any(bucket: str, key: str) -> Iterator[str]:
    if storage.find(bucket, key):
        for line in storage.read_lines(bucket, key):
            yield json.loads(line)[manifest.CONTENT]


def previous_dataset(bucket: str, *, besides: str) -> str:
    """The dataset version finished last, or "" when there is none but this round's own."""
    finished = [
        (card.modified, version)
        for version in storage.list_folders(bucket, contracts.DATASETS)
        if version != besides and (card := storage.find(bucket, contracts.dataset_key(version, "card.json")))
    ]
    return max(finished)[1] if finished else ""
