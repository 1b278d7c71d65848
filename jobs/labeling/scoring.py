"""What the champion says of images, and what each of them looks like."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from jobs import images, manifest
from jobs.labeling.fingerprint import fingerprint
from jobs.labeling.predictions import Opinion
from jobs.manifest import Entry
from jobs.model_package import ModelPackage
from jobs.paths import object_key

BATCH: Final = 256
"""As many results wait in memory."""


@dataclass(frozen=True)
class Scored:
    """One readable object: its unlabeled line, and what the champion says of it, if there is one."""

    entry: Entry
    line: dict[str, Any]
    opinion: Opinion | None


@dataclass(frozen=True)
class Unreadable:
    """One object whose image is missing or broken."""

    entry: Entry
    reason: str

    @property
    def line(self) -> dict[str, str]:
        return {manifest.SOURCE: self.entry.source_ref, "reason": self.reason}


def scored(entries: Iterable[Entry], folder: Path, champion: ModelPackage | None) -> Iterator[Scored | Unreadable]:
    """Decode and score, in the order of the entries.

    Args:
        folder: images by their S3 key.
    """
    remaining = iter(entries)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(lambda entry: _one(entry, folder, champion), batch)


def _one(entry: Entry, folder: Path, champion: ModelPackage | None) -> Scored | Unreadable:
    try:
        image = images.decode(folder / object_key(entry.source_ref))
    except images.UnreadableImage as error:
        return Unreadable(entry, str(error))
    line = {
        # An object without content is known by its name; honeypots would stand out without it.
        manifest.CONTENT: entry.content,
        **manifest.without_labels(entry.values),
        manifest.FINGERPRINT: fingerprint(np.asarray(image)),
    }
    if champion is None:
        return Scored(entry, line, None)
    probabilities = champion.probabilities(images.resized(image, champion.pixels))
    return Scored(entry, line, Opinion.of(probabilities, champion.labels))
