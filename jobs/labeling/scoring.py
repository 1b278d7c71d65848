"""What the champion says of images, and what each of them looks like."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import images, manifest
from jobs.labeling.champion import Champion
from jobs.labeling.fingerprint import fingerprint
from jobs.manifest import Entry
from jobs.paths import object_key

BATCH: Final = 256
"""As many results wait in memory."""


@dataclass(frozen=True)
class Scored:
    """One readable object with its line of scores.jsonl; without a champion that has no opinion."""

    entry: Entry
    line: dict[str, Any]


@dataclass(frozen=True)
class Unreadable:
    """One object whose image is missing or broken."""

    entry: Entry
    reason: str

    @property
    def line(self) -> dict[str, str]:
        return {manifest.SOURCE: self.entry.source_ref, "reason": self.reason}


def scored(entries: Iterable[Entry], folder: Path, champion: Champion | None) -> Iterator[Scored | Unreadable]:
    """Decode and score, in the order of the entries.

    Args:
        folder: images by their S3 key.
    """
    remaining = iter(entries)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(lambda entry: _one(entry, folder, champion), batch)


def _one(entry: Entry, folder: Path, champion: Champion | None) -> Scored | Unreadable:
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
    return Scored(entry, line | (_opinion(champion, images.resized(image, champion.pixels)) if champion else {}))


def _opinion(champion: Champion, image: NDArray[np.uint8]) -> dict[str, Any]:
    """The machine's label, how sure it is of it and how much surer than of the next: calibrated probabilities."""
    probabilities = champion.probabilities(image)
    second, first = np.argsort(probabilities, kind="stable")[-2:].tolist()
    return {
        "label": champion.labels[first],
        "confidence": float(probabilities[first]),
        "runner-up": champion.labels[second],
        "margin": float(probabilities[first] - probabilities[second]),
        "probabilities": {
            name: round(value, 6) for name, value in zip(champion.labels, probabilities.tolist(), strict=True)
        },
    }
