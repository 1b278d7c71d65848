"""What a labeling job reads before anybody works, and what it fails for.

Limits: https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/sms-input-data-input-manifest.html
"""

import ast
import html
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from offline.boxes import Box
from offline.runners import JobFailed
from offline.runners.labeling.kinds import CUSTOM, Kind

MAX_OBJECTS: Final = 100_000
_MAX_LINE_CHARACTERS: Final = 100_000
_MAX_CATEGORY_CHARACTERS: Final = 256

Line = dict[str, Any]


def read_manifest(uri: str, body: bytes) -> list[Line]:
    """The objects to label, one per line.

    Raises:
        JobFailed: naming the line that no labeling job takes.
    """
    try:
        texts = body.decode().split("\n")
    except UnicodeDecodeError as error:
        number = body.count(b"\n", 0, error.start) + 1
        raise JobFailed(f"ClientError: {uri} line {number} is not UTF-8") from None
    lines = [_line(uri, number, text) for number, text in enumerate(texts, 1) if text.strip()]
    if not 1 <= len(lines) <= MAX_OBJECTS:
        raise JobFailed(f"ClientError: {uri} has {len(lines)} objects; a job takes 1 to {MAX_OBJECTS}")
    return lines


def _line(uri: str, number: int, text: str) -> Line:
    if len(text) > _MAX_LINE_CHARACTERS:
        raise JobFailed(
            f"ClientError: {uri} line {number} has {len(text)} characters, more than {_MAX_LINE_CHARACTERS}"
        )
    try:
        line: Line = json.loads(text)
        line["source-ref"].startswith("s3://")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise JobFailed(f"ClientError: {uri} line {number} is not a JSON object with a source-ref") from None
    if reserved := [name for name in line if name.startswith("$")]:
        raise JobFailed(f"ClientError: {uri} line {number}: the attribute {reserved[0]!r} must not begin with '$'")
    return line


def read_categories(uri: str, body: bytes, kind: Kind) -> list[str]:
    """The names that people choose from, in the order that gives them their numbers.

    Raises:
        JobFailed: not a label category configuration, or not one for this task type.
    """
    try:
        labels = [label["label"] for label in json.loads(body)["labels"]]
    except (ValueError, TypeError, KeyError):
        raise JobFailed(f"ClientError: {uri} is not a label category configuration") from None
    least, most = kind.fewest_categories, kind.most_categories
    if len(set(labels)) != len(labels) or not least <= len(labels) <= most:
        count = "at least two labels" if least == 2 else f"1 to {most} labels"
        raise JobFailed(f"ClientError: {uri} must have {count}, each once; it has {len(labels)}: {labels[:60]}")
    if long := [label for label in labels if not 1 <= len(label) <= _MAX_CATEGORY_CHARACTERS]:
        raise JobFailed(f"ClientError: {uri}: a label has 1 to {_MAX_CATEGORY_CHARACTERS} characters, not {long[0]!r}")
    return labels


@dataclass(frozen=True)
class Page:
    """What a worker template shows of a task and under which name it submits the answer.

    `image` and `categories` are paths into the task's input; `choices` are the categories where the template lists
    them itself; `shown` is the attribute of an earlier job whose boxes it draws.
    """

    field: str
    image: str
    categories: str
    choices: tuple[str, ...]
    shown: str

    @classmethod
    def read(cls, uri: str, template: str, kind: Kind) -> "Page":
        """Read a template as far as it decides what people see; the rest of its Liquid and HTML is not rendered.

        Raises:
            JobFailed: it asks nothing that this task type needs an answer to.
        """
        element = template.partition(f"<{kind.page_element}")[2]
        if not element:
            raise JobFailed(f"ClientError: the worker template {uri} has no {kind.page_element}")
        name = _attribute(element, "name")
        if not name or (kind.field and name != kind.field):
            raise JobFailed(
                f"ClientError: {kind.page_element} in {uri} must have the name {kind.field or 'of your choice'!r}: "
                f"its answers are read by it; it has {name!r}"
            )
        choices = _attribute(element, "labels" if kind.draws else "categories")
        shown = re.search(r"task\.input\.manifestLine(?:\.([\w-]+)|\[[\"']([^\"']+)[\"']\])\.annotations", template)
        if kind.reviews and shown is None:
            raise JobFailed(
                f"ClientError: the worker template {uri} shows no boxes (task.input.manifestLine…annotations)"
            )
        return cls(
            field=name,
            image=_path(_attribute(element, "src")) or "taskObject",
            categories=_path(choices),
            choices=_choices(choices) if kind.reviews or kind is CUSTOM else (),
            shown=(shown[1] or shown[2]) if shown else "",
        )

    def boxes(self, line: Line) -> list[Box]:
        """The boxes that the page shows of an object: those of the earlier job."""
        names = line.get(f"{self.shown}-metadata", {}).get("class-map", {})
        annotations = line.get(self.shown, {}).get("annotations", [])
        return [Box.read({**one, "label": names.get(str(one["class_id"]), "")}) for one in annotations]


def _attribute(element: str, name: str) -> str:
    found = re.search(rf"[\s]{name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", element)
    return html.unescape(found[1] or found[2] or "") if found else ""


def _path(value: str) -> str:
    """`labels` of `{{ task.input.labels | to_json }}`."""
    found = re.match(r"\{\{-?\s*task\.input\.([\w.]+)", value)
    return found[1] if found else ""


def _choices(value: str) -> tuple[str, ...]:
    if not value.startswith("["):
        return ()
    return tuple(str(choice) for choice in ast.literal_eval(value))


def look_up(task_input: Line, path: str) -> Any:
    """What the task's input has at a path; None when it has nothing there."""
    found: Any = task_input
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
