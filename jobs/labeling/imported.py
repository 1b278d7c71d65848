"""Labels that another tool gave: taken as they are, under this project's attribute."""

from typing import Any

from jobs.manifest import METADATA, Entry, label_attributes, without_labels


def renamed(entry: Entry, attribute: str, categories: list[str]) -> dict[str, Any]:
    """The line with its one label under `attribute`; a label that does not say who gave it is a person's.

    Raises:
        JobError: no label, more than one, or a class that is not among the categories.
    """
    found = label_attributes(entry.values)
    if len(found) != 1:
        raise entry.error(f"must have exactly one label attribute with a class-name; it has {found or 'none'}")
    name = entry.class_name(found[0])
    if name not in categories:
        raise entry.error(f"has the unknown class {name!r}; known are {', '.join(categories)}")
    metadata = entry.metadata(found[0])
    by_human = "no" if metadata.get("human-annotated") == "no" else "yes"
    return {
        **without_labels(entry.values),
        attribute: categories.index(name),
        attribute + METADATA: {**metadata, "human-annotated": by_human},
    }
