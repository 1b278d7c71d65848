"""What a labeled line says, for either type of task."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from jobs.manifest import Entry

Counts = Mapping[str, int]
"""How many objects of each class a picture shows, as far as its label says."""


def _one_class(entry: Entry, attribute: str) -> Counts:
    return {entry.class_name(attribute): 1}


def _boxes(entry: Entry, attribute: str) -> Counts:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html (bounding box job output)"""
    names = entry.metadata(attribute).get("class-map")
    label = entry.values.get(attribute)
    boxes = label.get("annotations") if isinstance(label, dict) else None
    if not isinstance(names, dict) or not isinstance(boxes, list):
        raise entry.error(f"needs {attribute!r} with 'annotations' and a 'class-map' in its metadata")
    found: Counter[str] = Counter()
    for box in boxes:
        number: Any = box.get("class_id") if isinstance(box, dict) else None
        if not isinstance(name := names.get(str(number)), str):
            raise entry.error(
                f"has a box with the class_id {number!r}; its class-map names {', '.join(names) or 'none'}"
            )
        found[name] += 1
    return found


TASKS: Final[Mapping[str, Callable[[Entry, str], Counts]]] = {"classification": _one_class, "detection": _boxes}


def class_counts(entry: Entry, attribute: str, *, task: str, categories: Collection[str]) -> Counts:
    """How often a line's label names each class: once in all for a classification, once per box for a detection.

    Raises:
        JobError: no such label, one that is broken, or a class that is not among the categories, naming the line.
    """
    found = TASKS[task](entry, attribute)
    for name in found:
        if name not in categories:
            raise entry.error(f"has the unknown class {name!r}; known are {', '.join(categories)}")
    return found
