"""Every answer that anybody ever gave to a gold object: what is known of people grows from round to round.

gold-answers.jsonl has a line for each, and each dataset version has them all:

    {"source-ref": "s3://bucket/gold/a.jpg", "content": "6d8f-1032", "round": "r1", "team": "labelers",
     "worker": "private.us-east-1.5c1e", "label": "crab", "truth": "crab"}
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from jobs import manifest
from jobs.labeling.answers import Book, Given
from jobs.labeling.labeling_jobs import EXPERTS, LABELERS
from jobs.labeling.objects import Objects
from jobs.labeling.tasks import Task
from jobs.manifest import CONTENT, SOURCE

FILE: Final = "gold-answers.jsonl"


def earlier(previous: Path | None, round_: str) -> list[dict[str, Any]]:
    """The answers of the rounds before this one; this one's own are left out, so a round that is run again adds none.

    Raises:
        JobError: a line that is not one of these.
    """
    path = previous / FILE if previous else None
    if path is None or not path.exists():
        return []
    lines = []
    for entry in manifest.read(path):
        if not all(isinstance(entry.values.get(name), str) for name in (SOURCE, "round", "team", "worker")):
            raise entry.error("needs texts in source-ref, round, team and worker")
        if entry.values["round"] != round_:
            lines.append(entry.values)
    return lines


def enter(book: Book, lines: list[dict[str, Any]], objects: Objects, task: Task) -> None:
    """Enter earlier answers to what is gold today. What gold says today is what they are measured by."""
    for values in lines:
        number = objects.numbers.get(values[SOURCE])
        if number is not None and number in objects.gold:
            by_experts = values["team"] == EXPERTS
            book.add(number, values["worker"], task.number(values.get("label")), by_experts=by_experts, before=True)


def of_round(given: Given, objects: Objects, task: Task, round_: str) -> Iterator[dict[str, Any]]:
    """This round's answers to gold."""
    refs = {number: ref for ref, number in objects.numbers.items() if number in objects.gold}
    for row in np.flatnonzero(objects.is_gold[given.objects] & ~given.before).tolist():
        item = int(given.objects[row])
        entry = objects.gold[item]
        yield {
            SOURCE: refs[item],
            CONTENT: entry.content,
            "round": round_,
            "team": EXPERTS if given.by_experts[row] else LABELERS,
            "worker": given.people[int(given.workers[row])],
            "label": task.recorded(int(given.labels[row])),
            "truth": task.truth(entry),
        }
