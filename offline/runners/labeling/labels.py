"""From what people said about an object to its line in the output manifest, by task type.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html has every line format. Ground Truth weighs
workers against each other with algorithms that it does not publish; here the majority counts.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Any, Final

from offline.boxes import Box, overlap, same
from offline.runners import now
from offline.state import Answer, Work

# Boxes of two people that overlap by less show two things.
_SAME_THING: Final = 0.5
# Boxes that overlap by more were left as they were shown.
_UNTOUCHED: Final = 0.98


@dataclass
class Task:
    """One object of the input manifest and what became of it.

    `label` holds what the output line has beside the input line's attributes; `failure` says why there is no label;
    `needless` is an object for which the account's own function wants nobody.
    """

    index: int
    line: dict[str, Any]
    size: tuple[int, int] = (0, 0)
    """Width and height of the image in pixels, known where boxes are drawn."""
    choices: list[str] = field(default_factory=list)
    shown: list[Box] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    failure: str = ""
    needless: bool = False
    label: dict[str, Any] = field(default_factory=dict)
    iteration: int = 1

    @property
    def done(self) -> bool:
        return bool(self.label or self.failure or self.needless)


def metadata(kind_type: str, job_name: str, **about: Any) -> dict[str, Any]:
    """The fields that the metadata of every label has; a machine's label says human-annotated="no"."""
    stamp = now().strftime("%Y-%m-%dT%H:%M:%S.%f")
    return {
        **about,
        "type": kind_type,
        "job-name": f"labeling-job/{job_name}",
        "human-annotated": about.get("human-annotated", "yes"),
        "creation-date": stamp,
    }


def answer_content(task: Task, answer: Answer, field_name: str) -> dict[str, Any]:
    """What the page submits: a class or boxes, under the name of the element that asked."""
    if isinstance(answer.content, str):
        return {field_name: {"label": answer.content}}
    boxes = sorted((box.rounded() for box in answer.content), key=lambda box: (box["left"], box["top"]))
    width, height = task.size
    return {field_name: {"boundingBoxes": boxes, "inputImageProperties": {"height": height, "width": width}}}


def _confidence(share: float, answers: Sequence[Answer]) -> float:
    """The share of people who agree; with one person it says nothing and is 0."""
    return round(share, 2) if len(answers) > 1 else 0.0


def _majority(task: Task, categories: Sequence[str]) -> tuple[str, float]:
    """The class that most chose; the one that comes first wins a tie, so that equal answers make equal labels."""
    votes = Counter(answer.content for answer in task.answers)
    label = max(categories, key=lambda category: votes[category])
    return label, _confidence(votes[label] / len(task.answers), task.answers)


def _class(task: Task, categories: list[str]) -> tuple[Any, dict[str, Any]]:
    label, confidence = _majority(task, categories)
    return categories.index(label), {"class-name": label, "confidence": confidence}


def _verdict(task: Task, _: list[str]) -> tuple[Any, dict[str, Any]]:
    label, confidence = _majority(task, task.choices)
    return str(task.choices.index(label)), {"class-name": label, "confidence": confidence}


def _boxes(task: Task, categories: list[str]) -> tuple[Any, dict[str, Any]]:
    """What more than half of the people drew, each edge at the median of theirs."""
    drawn = [answer.content for answer in task.answers if not isinstance(answer.content, str)]
    found = []
    for group in _things(drawn):
        if 2 * len(group) > len(drawn):
            votes = Counter(box.label for box in group)
            label = max(categories, key=lambda category: votes[category])
            sides = [round(median(getattr(box, side) for box in group)) for side in ("left", "top", "width", "height")]
            found.append((categories.index(label), sides, _confidence(len(group) / len(drawn), task.answers)))
    width, height = task.size
    value = {
        "image_size": [{"width": width, "height": height, "depth": 3}],
        "annotations": [
            {"class_id": number, "left": left, "top": top, "width": wide, "height": high}
            for number, (left, top, wide, high), _ in found
        ],
    }
    return value, {
        "objects": [{"confidence": confidence} for _, _, confidence in found],
        "class-map": {str(number): categories[number] for number in sorted({number for number, _, _ in found})},
    }


def _things(drawn: list[list[Box]]) -> list[list[Box]]:
    """One group of boxes per thing: each person's box joins the group whose first box it overlaps most."""
    groups: list[list[Box]] = []
    for boxes in drawn:
        free = list(groups)
        for box in boxes:
            best = max(free, key=lambda group: overlap(group[0], box), default=None)
            if best is not None and overlap(best[0], box) >= _SAME_THING:
                best.append(box)
                free = [group for group in free if group is not best]
            else:
                groups.append([box])
    return groups


def _adjusted(task: Task, categories: list[str]) -> tuple[Any, dict[str, Any]]:
    """`adjusted` when at least one person changed what was shown."""
    value, about = _boxes(task, categories)
    untouched = all(
        not isinstance(answer.content, str) and same(answer.content, task.shown, _UNTOUCHED) for answer in task.answers
    )
    return value, {**about, "adjustment-status": "unadjusted" if untouched else "adjusted"}


CONSOLIDATE: Final[Mapping[Work, Callable[[Task, list[str]], tuple[Any, dict[str, Any]]]]] = MappingProxyType(
    {"classify": _class, "draw": _boxes, "adjust": _adjusted, "verify": _verdict}
)
"""What each kind of work makes of a task's answers: the attribute's value, and what only its metadata says."""
