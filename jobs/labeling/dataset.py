"""Dataset versions: what was known before plus what a round added, in splits that never change."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling.audit import is_audited
from jobs.manifest import Entry, digest
from jobs.paths import bucket_prefix, object_key, write_image_list

SPLITS: Final = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""The shares of what is not audited."""


def split_of(content: str, *, audit_share: float = 0.0) -> str:
    """The split that an object would have by itself, decided by its content alone: one of SPLITS, or "audit".

    The audit draws first and with a hash of its own, so another `audit_share` moves objects into the audit or out of
    it and none between the others.
    """
    if is_audited(content, audit_share):
        return "audit"
    position = digest("split", content) / 2**64
    for name, share in SPLITS.items():
        if position < share:
            return name
        position -= share
    return name


def read_version(folder: Path) -> list[Entry]:
    """Every object of a dataset version."""
    return [entry for name in SPLITS for entry in manifest.read(folder / f"{name}.manifest")]


def merge(
    previous: Iterable[Entry], added: Iterable[Entry], attribute: str, *, excluded: set[str]
) -> tuple[dict[str, Entry], Counter[str]]:
    """Objects by content, each once: a human's label before a machine's, then the newer before the older.

    Args:
        excluded: source-refs and contents of gold, which never becomes training data.

    Returns:
        The merged objects, and how many of `added` were new, replaced an older label, gave way to one, or were gold.
    """
    merged = {entry.content: entry for entry in previous if not {entry.content, entry.source_ref} & excluded}
    fates: Counter[str] = Counter()
    for entry in added:
        before = merged.get(entry.content)
        if {entry.content, entry.source_ref} & excluded:
            fates["gold"] += 1
        elif before and before.by_human(attribute) and not entry.by_human(attribute):
            fates["gave_way"] += 1
        else:
            fates["replaced" if before else "new"] += 1
            merged[entry.content] = entry
    return merged, fates


def write_version(folder: Path, objects: Iterable[Entry], attribute: str, labels: list[str]) -> dict[str, Any]:
    """Write the split manifests and the image list of a version; the counts for its card.

    Raises:
        JobError: no object at all, or objects of several buckets, which one image list cannot name.
    """
    ordered = sorted(objects, key=lambda entry: entry.content)
    if not ordered:
        raise JobError(
            "the dataset would be empty: no object of this round got a label and there is no earlier version"
        )
    prefixes = {bucket_prefix(entry.source_ref) for entry in ordered}
    if len(prefixes) > 1:
        raise JobError(f"the images of a dataset must be in one bucket; these are in {', '.join(sorted(prefixes))}")
    by_split: dict[str, list[Entry]] = {name: [] for name in SPLITS}
    counts: dict[str, Counter[str]] = {label: Counter() for label in labels}
    sources: Counter[str] = Counter(human=0, machine=0)
    for entry in ordered:
        split, label = split_of(entry.content), entry.class_name(attribute)
        source = "human" if entry.by_human(attribute) else "machine"
        by_split[split].append(entry)
        counts.setdefault(label, Counter()).update([split, source])
        sources[source] += 1
    for name, entries in by_split.items():
        manifest.write(folder / f"{name}.manifest", (entry.values for entry in entries))
    write_image_list(folder / "images.json", prefixes.pop(), [object_key(entry.source_ref) for entry in ordered])
    return {
        "objects": len(ordered),
        "splits": {name: len(entries) for name, entries in by_split.items()},
        "sources": dict(sources),
        "classes": {label: _by_name(count) for label, count in counts.items()},
    }


def _by_name(count: Mapping[str, int]) -> dict[str, int]:
    return {name: count.get(name, 0) for name in (*SPLITS, "human", "machine")}
