"""Labels that another tool gave: taken as they are, under this project's attribute.

An import names images and not their contents, so `source-ref` says what is the same object. Merging finds the content
where an earlier round has listed the image.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Final

import numpy as np

from jobs import manifest
from jobs.labeling.labels import class_counts
from jobs.manifest import METADATA, Entry, digest, without_labels

_NAMES: Final = {"classification": "class-name", "detection": "class-map"}
"""Where the metadata of a label names its classes, by task."""


def labels(
    path: Path, attribute: str, categories: list[str], *, task: str, gold: Set[str], tally: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The labeled objects of an import, each once.

    Of several labels of an object a person's counts, then the newest; the order of lines does not matter. The file is
    read twice: 8 bytes per line tell which objects have several, and only those have to be remembered.

    Args:
        gold: source-refs of what is known for sure, which is left out.
        tally: counts every line by its fate: human, machine, gold or duplicate.

    Raises:
        JobError: a line that cannot be understood, named.
    """
    hashes = np.fromiter((digest(entry.source_ref) for entry in manifest.read(path)), np.uint64)
    hashes.sort()
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    best: dict[str, tuple[tuple[bool, str, str], dict[str, Any]]] = {}
    for entry in manifest.read(path):
        ref = entry.source_ref
        if ref in gold:
            tally["gold"] += 1
            continue
        line = renamed(entry, attribute, categories, task=task)
        metadata = line[attribute + METADATA]
        by_human = metadata["human-annotated"] == "yes"
        if not repeated or digest(ref) not in repeated:
            tally["human" if by_human else "machine"] += 1
            yield line
            continue
        tally["duplicate"] += ref in best
        ranked = ((by_human, str(metadata.get("creation-date", "")), entry.text), line)
        best[ref] = max(ranked, best.get(ref, ranked), key=lambda one: one[0])
    for _, ((by_human, _, _), line) in sorted(best.items(), key=lambda item: item[0]):
        tally["human" if by_human else "machine"] += 1
        yield line


def renamed(entry: Entry, attribute: str, categories: list[str], *, task: str = "classification") -> dict[str, Any]:
    """The line with its one label under `attribute`; a label that does not say who gave it is a person's.

    Raises:
        JobError: no label, more than one, or a class that is not among the categories.
    """
    key = _NAMES[task]
    metadata_of = {name: about for name, about in entry.values.items() if isinstance(about, dict) and key in about}
    found = [name.removesuffix(METADATA) for name in metadata_of if name.endswith(METADATA)]
    if len(found) != 1:
        raise entry.error(f"must have exactly one label attribute with a {key}; it has {found or 'none'}")
    classes = class_counts(entry, found[0], task=task, categories=categories)
    metadata = dict(entry.metadata(found[0]))
    metadata["human-annotated"] = "no" if metadata.get("human-annotated") == "no" else "yes"
    value: Any = categories.index(next(iter(classes))) if task == "classification" else entry.values[found[0]]
    if task == "detection":
        value, metadata["class-map"] = _renumbered(value, metadata["class-map"], categories)
    return {**without_labels(entry.values), attribute: value, attribute + METADATA: metadata}


def _renumbered(
    label: Mapping[str, Any], names: Mapping[str, str], categories: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Boxes with the numbers that their classes have in this project."""
    boxes = [{**box, "class_id": categories.index(names[str(box["class_id"])])} for box in label["annotations"]]
    return {**label, "annotations": boxes}, {str(number): name for number, name in enumerate(categories)}
