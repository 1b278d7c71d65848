"""What a line must hold to be taken as labeled by somebody else, whatever tool wrote it."""

from reefloop.labeling.manifest import Record

_METADATA = "-metadata"


class LabelInvalid(Exception):
    """A line of an import has no usable label; the message names the line."""


def label(record: Record, *, categories: list[str]) -> str:
    """The class of a line: `class-name` in the metadata of its one label attribute, whatever that is called.

    Raises:
        LabelInvalid: unless there is exactly one such attribute and its class is among the categories.
    """
    found = {
        attribute: metadata["class-name"]
        for name, metadata in record.fields.items()
        if isinstance(metadata, dict)
        and "class-name" in metadata
        and (attribute := name.removesuffix(_METADATA)) != name
        and attribute in record.fields
    }
    if len(found) != 1:
        raise LabelInvalid(
            f"{record.where} has {len(found)} labels and must have exactly one: an attribute with any name and "
            f'beside it "<name>{_METADATA}" with "class-name"; got the keys {sorted(record.fields)}'
        )
    [(attribute, name)] = found.items()
    if name not in categories:
        raise LabelInvalid(
            f"{record.where}: {attribute}{_METADATA} has class-name {name!r}, which is not among the label "
            f"categories {categories}: correct the line, or add the category before the first round"
        )
    return str(name)
