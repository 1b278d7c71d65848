"""The label category configuration: which species there are, in the order of the model's outputs.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-label-cat-config-attributes.html
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from reefloop.labeling.ground_truth import CANNOT_TELL

# https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html
_NAME_CHARACTERS: Final = 256
_FEWEST: Final = 2
_MOST_FOR_BOXES: Final = 50


class CategoriesInvalid(Exception):
    """The label category configuration cannot be used; the message names the label and what to change."""


def config(labels: Iterable[str]) -> dict[str, Any]:
    """The label category configuration of these labels."""
    return {"document-version": "2018-11-28", "labels": [{"label": label} for label in labels]}


def names(config: Any, *, source: str, task: str = "classification") -> list[str]:
    """The labels of a configuration, in its order.

    Args:
        config: the parsed file, {"document-version": "2018-11-28", "labels": [{"label": "a"}, {"label": "b"}]}.
        source: URI of the file, for messages.
        task: classification, or detection: Ground Truth draws boxes of at most 50 labels.

    Raises:
        CategoriesInvalid: unless it names at least two labels, each once, of at most 256 characters.
    """
    items = config.get("labels") if isinstance(config, dict) else None
    if not isinstance(items, list):
        raise CategoriesInvalid(f'{source} has no list "labels": write {{"labels": [{{"label": "<species>"}}, …]}}')
    labels: list[str] = []
    for item in items:
        label = item.get("label") if isinstance(item, dict) else None
        if not isinstance(label, str) or not label.strip() or len(label) > _NAME_CHARACTERS:
            raise CategoriesInvalid(
                f"{source}: label {str(label)[:60]!r} must be a text of 1 to {_NAME_CHARACTERS} characters: rename it"
            )
        labels.append(label)
    if CANNOT_TELL in labels:
        raise CategoriesInvalid(f"{source} names label {CANNOT_TELL!r}, which is the lack of an answer: remove it")
    if len(labels) < _FEWEST:
        raise CategoriesInvalid(
            f"{source} names {len(labels)} label(s) and must name at least {_FEWEST}: "
            "with one species there is nothing to tell apart; add another, for example 'other'"
        )
    if task == "detection" and len(labels) > _MOST_FOR_BOXES:
        raise CategoriesInvalid(
            f"{source} names {len(labels)} labels and boxes may have {_MOST_FOR_BOXES}: remove or join some"
        )
    if repeated := [label for label, count in Counter(labels).items() if count > 1]:
        raise CategoriesInvalid(f"{source} names label {repeated[0]!r} more than once: remove the repetition")
    return labels
