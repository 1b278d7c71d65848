"""Dataset versions on disk: their lines go into the working index of a merge, and the next version comes out of it."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling.fingerprint import BITS, is_fingerprint
from jobs.labeling.index import HUMAN, MACHINE, NONE, Line
from jobs.labeling.labels import Counts, class_counts
from jobs.labeling.splits import AUDIT, KEPT_OUT, SPLITS, drawn
from jobs.manifest import Entry
from jobs.paths import atomic, bucket_prefix, image_list

ROUND: Final = "round"
"""The key of a dataset's line that names the round it comes from."""
LISTS: Final = {"training-images.json": ("train", "validation"), "test-images.json": ("test",)}
"""The images that a job downloads, by the splits that it reads: training never sees those it is judged by. The audit
is in neither."""


@dataclass
class Reader:
    """Checks lines of manifests and turns them into rows of the index."""

    attribute: str
    task: str
    categories: list[str]
    version: str
    prefix: str | None = None
    """`s3://bucket/` of the lines so far."""

    def version_lines(self, folder: Path) -> Iterator[Line]:
        """Every object of a dataset version, in the split that it has there."""
        for number, name in enumerate(SPLITS):
            for entry in manifest.read(folder / f"{name}.manifest"):
                yield self._line(entry, split=number, may_lack_label=number == AUDIT)

    def labels(self, path: Path) -> Iterator[Line]:
        """What a round labeled."""
        for entry in manifest.read(path):
            yield self._line(entry)

    def audited(self, path: Path) -> Iterator[Line]:
        """What a round set aside to check the machine on, as objects that nobody has labeled."""
        for entry in manifest.read(path):
            stripped = Entry(entry.path, entry.number, manifest.without_labels(entry.values))
            yield self._line(stripped, may_lack_label=True)

    def _line(self, entry: Entry, *, split: int | None = None, may_lack_label: bool = False) -> Line:
        """A line of the round, or of a split of the version before."""
        values = entry.values
        labeler, created = NONE, ""
        classes: Counts = {}
        unlabeled = self.attribute not in values and self.attribute + manifest.METADATA not in values
        if not (unlabeled and may_lack_label):
            metadata = entry.metadata(self.attribute)
            classes = class_counts(entry, self.attribute, task=self.task, categories=self.categories)
            labeler = HUMAN if entry.by_human(self.attribute) else MACHINE
            created = str(metadata.get("creation-date", ""))
        self._check_bucket(entry)
        bare = manifest.CONTENT not in values
        return Line(
            object=None if bare else entry.content,
            bare=bare,
            source_ref=entry.source_ref,
            added=split is None,
            labeler=labeler,
            created=created,
            split=split,
            fingerprint=self._fingerprint(entry),
            origin=self.version if split is None else str(values.get(ROUND, "")),
            classes=_written(tuple(classes.items())),
            text=self._of_round(entry) if split is None else entry.text.strip(),
        )

    def _of_round(self, entry: Entry) -> str:
        try:
            return manifest.text_of({**entry.values, ROUND: self.version})
        except (ValueError, RecursionError) as error:
            raise entry.error(f"cannot be written again: {error}") from None

    def _check_bucket(self, entry: Entry) -> None:
        try:
            prefix = bucket_prefix(entry.source_ref)
        except JobError as error:
            raise entry.error(f"cannot be read: {error}") from None
        self.prefix = self.prefix or prefix
        if prefix != self.prefix:
            raise entry.error(
                f"is about an image in {prefix}; those before are in {self.prefix}, and one list names all"
            )

    @staticmethod
    def _fingerprint(entry: Entry) -> int | None:
        text = entry.values.get(manifest.FINGERPRINT)
        if text is None:
            return None
        if not is_fingerprint(text):
            raise entry.error(f"must have 16 hex digits in {manifest.FINGERPRINT!r}, got {text!r}")
        number = int(text, 16)
        return number - (number >> (BITS - 1) << BITS)


@dataclass
class Tally:
    """What is in a version, counted while it is written."""

    splits: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    """human, machine; audit: labeled by people and not trained on; unsettled: likewise, but people did not agree."""
    classes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By class: its objects, or boxes, by split and by source."""
    rounds: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By round: the objects whose label it gave, by source."""
    kept_out: int = 0
    """Objects of the round that stay out, as near-duplicates of gold or of audit objects."""

    @property
    def objects(self) -> int:
        return sum(self.splits.values())

    def add(self, split: str, labeler: int, origin: str, classes: dict[str, int]) -> None:
        audit = split == SPLITS[AUDIT]
        source = "unsettled" if labeler == NONE else "audit" if audit else "human" if labeler == HUMAN else "machine"
        self.splits[split] += 1
        self.sources[source] += 1
        self.rounds[origin][source] += 1
        for name, count in classes.items():
            self.classes[name][split] += count
            if not audit:
                self.classes[name][source] += count


def write_version(folder: Path, index: sqlite3.Connection, *, prefix: str, version: str) -> Tally:
    """Write the split manifests and the lists of their images.

    Args:
        prefix: `s3://bucket/` of every object and of the version itself.
    """
    tally = Tally()
    with ExitStack() as files:
        manifests: list[IO[str]] = []
        for name in SPLITS:
            temporary = files.enter_context(atomic(folder / f"{name}.manifest"))
            manifests.append(files.enter_context(temporary.open("w", encoding="utf-8")))
        lists = {name: files.enter_context(image_list(folder / name, prefix)) for name in LISTS}
        listed = [[add for name, add in lists.items() if split in LISTS[name]] for split in SPLITS]
        for name, split, line, fingerprint in _kept(index):
            number = drawn(name) if split is None else split
            if number == KEPT_OUT:
                tally.kept_out += 1
                continue
            manifests[number].write(_complete(line, name, fingerprint) + "\n")
            for add in listed[number]:
                add(line.source_ref[len(prefix) :])
            tally.add(SPLITS[number], line.labeler, line.origin, _parsed(line.classes))
        for name, add in lists.items():
            if not any(tally.splits[split] for split in LISTS[name]):
                add(stand_in(version))
    return tally


def stand_in(version: str) -> str:
    """The key of an object that is there whenever the version is. It stands in a list that would name nothing.

    A ManifestFile is "a prefix which is followed by one or more suffixes", so a job whose list is empty may fail before
    the container can say which split needs labels.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    return f"datasets/{version}/card.json"


def _kept(index: sqlite3.Connection) -> Iterator[tuple[str, int | None, Line, int | None]]:
    """Every object in the order of contents: its name, its split where one is decided, its line and fingerprint."""
    rows = index.execute(
        f"SELECT o.object, coalesce(o.split, d.split), o.fingerprint, {', '.join(f'l.{name}' for name in Line._fields)}"  # noqa: S608
        " FROM objects o CROSS JOIN lines l ON l.id = o.line LEFT JOIN decided d ON d.fingerprint = o.fingerprint"
        " ORDER BY o.object"
    )
    for name, split, fingerprint, *line in rows:
        yield name, split, Line(*line), fingerprint


def _complete(line: Line, name: str, fingerprint: int | None) -> str:
    """The line's text, with what only other lines about the object said."""
    missing: dict[str, str] = {}
    if line.bare and name != line.source_ref:
        missing[manifest.CONTENT] = name
    if line.fingerprint is None and fingerprint is not None:
        missing[manifest.FINGERPRINT] = f"{fingerprint % 2**BITS:016x}"
    return manifest.text_of({**json.loads(line.text), **missing}) if missing else line.text


@lru_cache(maxsize=4096)
def _written(classes: tuple[tuple[str, int], ...]) -> str:
    return json.dumps(dict(classes))


_parsed: Final = lru_cache(maxsize=4096)(json.loads)
