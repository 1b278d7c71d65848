"""The objects of a round by number, so that a million of them are columns and not a million small tables."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.labeling.pool import routed_by
from jobs.manifest import Entry


@dataclass(frozen=True)
class Objects:
    """The pool's objects come first, in their order, each once; gold that is not in the pool comes after them."""

    folder: Path
    numbers: dict[str, int]
    """By source-ref."""
    pool: int
    """How many of the numbers are the pool's."""
    duplicates: int
    """Lines of the pool about an object that an earlier line has named."""
    gold: dict[int, Entry]
    """What is known for sure, by number. An object of the pool with the content of a gold object is gold as well."""

    @classmethod
    def of_round(cls, folder: Path, gold: Iterable[Entry]) -> Self:
        """
        Raises:
            JobError: the pool is missing or broken.
        """
        known = {entry.source_ref: entry for entry in gold}
        contents = {entry.content: entry for entry in known.values()}
        numbers: dict[str, int] = {}
        found: dict[int, Entry] = {}
        lines = 0
        for entry in manifest.read(folder / "pool.manifest"):
            lines += 1
            number = numbers.setdefault(entry.source_ref, len(numbers))
            if twin := known.get(entry.source_ref) or contents.get(entry.content):
                found[number] = twin
        pool = len(numbers)
        for ref, entry in known.items():
            found[numbers.setdefault(ref, len(numbers))] = entry
        return cls(folder, numbers, pool, lines - pool, found)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def is_gold(self) -> NDArray[np.bool_]:
        return self.marked(self.gold)

    def marked(self, numbers: Iterable[int]) -> NDArray[np.bool_]:
        """[object]: whether it is one of these."""
        mask = np.zeros(len(self), np.bool_)
        mask[np.fromiter(numbers, np.intp)] = True
        return mask

    def number(self, entry: Entry) -> int:
        """
        Raises:
            JobError: the line is about an object that this round does not have.
        """
        try:
            return self.numbers[entry.source_ref]
        except KeyError:
            raise entry.error(
                f"is about {entry.source_ref}, which is in neither the pool nor the gold of this round"
            ) from None

    def routed(self, name: str) -> Iterator[tuple[int, Entry]]:
        """The lines of every instance's part of a routing manifest, with the number of their object."""
        for part in routed_by(self.folder):
            for entry in manifest.read(part / name):
                yield self.number(entry), entry

    def summaries(self) -> Iterator[Path]:
        """Every instance's routing.json."""
        for part in routed_by(self.folder):
            yield part / "routing.json"
