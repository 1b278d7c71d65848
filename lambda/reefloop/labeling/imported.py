"""What a line must hold to be taken as labeled by somebody else, whatever tool wrote it.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from reefloop.labeling.manifest import Record

_METADATA: Final = "-metadata"
_EDGES: Final = ("left", "top", "width", "height")


class LabelInvalid(Exception):
    """A line of an import has no usable label; the message names the line."""


def check_class(record: Record, *, categories: list[str]) -> None:
    """
    Raises:
        LabelInvalid: unless exactly one attribute has "class-name" in its metadata, and that is a category.
    """
    attribute, metadata = _only_label(record, "class-name")
    _check_category(record, attribute, metadata["class-name"], categories)


def check_boxes(record: Record, *, categories: list[str]) -> None:
    """
    Raises:
        LabelInvalid: unless exactly one attribute has "class-map" in its metadata, and its boxes have whole pixels
            and classes of that map that are categories.
    """
    attribute, metadata = _only_label(record, "class-map")
    value = record.fields[attribute]
    boxes = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(boxes, list) or not isinstance(metadata["class-map"], dict):
        raise LabelInvalid(
            f'{record.where}: {attribute} must be {{"annotations": [...]}} and {attribute}{_METADATA} have "class-map"'
        )
    for box in boxes:
        edges = [box.get(name) if isinstance(box, dict) else None for name in _EDGES]
        if not all(type(edge) is int and edge >= 0 for edge in edges):
            raise LabelInvalid(
                f"{record.where}: {attribute} has the box {str(box)[:100]} and each must have {', '.join(_EDGES)} in "
                "whole pixels from 0 up"
            )
        _check_category(record, attribute, metadata["class-map"].get(str(box.get("class_id"))), categories)


CHECKS: Final[Mapping[str, Callable[..., None]]] = MappingProxyType(
    {"classification": check_class, "detection": check_boxes}
)


def _only_label(record: Record, key: str) -> tuple[str, dict[str, Any]]:
    """The one attribute with this key in its metadata, whatever it is called, and that metadata."""
    found = {
        attribute: metadata
        for name, metadata in record.fields.items()
        if isinstance(metadata, dict)
        and key in metadata
        and (attribute := name.removesuffix(_METADATA)) != name
        and attribute in record.fields
    }
    if len(found) != 1:
        raise LabelInvalid(
            f"{record.where} has {len(found)} labels and must have exactly one: an attribute with any name and "
            f'beside it "<name>{_METADATA}" with "{key}"; got the keys {sorted(record.fields)}'
        )
    [(attribute, metadata)] = found.items()
    return attribute, metadata


def _check_category(record: Record, attribute: str, name: Any, categories: list[str]) -> None:
    if name not in categories:
        raise LabelInvalid(
            f"{record.where}: {attribute}{_METADATA} has class-name {name!r}, which is not among the label "
            f"categories {categories}: correct the line, or add the category before the first round"
        )
