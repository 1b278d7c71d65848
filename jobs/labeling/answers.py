"""What the people of a round answered, read from the worker responses that Ground Truth or the station wrote."""

import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.errors import JobError
from jobs.labeling.labeling_jobs import EXPERTS, LabelingJob
from jobs.paths import read_json

Bools = NDArray[np.bool_]
Parse = Callable[[dict[str, Any]], int]
"""What an `answerContent` says, as a number, or NO_CATEGORY. It may raise KeyError, TypeError or ValueError."""

NO_CATEGORY: Final = -1
"""Somebody looked at the object and named no category: a page may let people say that they cannot tell."""


@dataclass(frozen=True)
class Given:
    """Answers as columns of equal length. A worker has at most one answer to an object, ordered by object, worker."""

    people: list[str]
    """Worker ids, sorted."""
    objects: NDArray[np.int32]
    workers: NDArray[np.int32]
    """Indices into `people`."""
    labels: NDArray[np.int32]
    """What was answered, as the task's parser numbers it."""
    seconds: NDArray[np.float32]
    """How long it took; NaN where nobody noted it."""
    by_experts: Bools
    """Whether the answer was given in a job of the experts' team."""
    before: Bools
    """Whether it was given in an earlier round; such answers are to gold objects only."""
    experts: Bools
    """[worker]: whether they ever answered in a job of the experts' team, whatever replaced those answers."""

    def where(self, mask: Bools) -> "Given":
        """Some of the answers; the people keep their numbers."""
        return Given(
            self.people,
            self.objects[mask],
            self.workers[mask],
            self.labels[mask],
            self.seconds[mask],
            self.by_experts[mask],
            self.before[mask],
            self.experts,
        )

    def __len__(self) -> int:
        return len(self.objects)


@dataclass
class Book:
    """Answers as they are found, in any order; a later one of the same worker to the same object replaces it."""

    _numbers: dict[str, int] = field(default_factory=dict)
    _rows: "array[int]" = field(default_factory=lambda: array("i"))
    """object, worker, label, by experts, before: five numbers for each answer."""
    _seconds: "array[float]" = field(default_factory=lambda: array("f"))
    _experts: set[str] = field(default_factory=set)

    def add(
        self, item: int, worker: str, label: int, *, seconds: float = np.nan, by_experts: bool, before: bool = False
    ) -> None:
        number = self._numbers.setdefault(worker, len(self._numbers))
        self._rows.extend((item, number, label, by_experts, before))
        self._seconds.append(seconds)
        if by_experts:
            self._experts.add(worker)

    def closed(self) -> Given:
        """The answers, in an order that does not depend on the order of different people's or objects' answers."""
        people = sorted(self._numbers)
        table = np.array(self._rows, np.int32).reshape(-1, 5)
        rank = np.zeros(len(people), np.int32)
        rank[[self._numbers[worker] for worker in people]] = np.arange(len(people))
        workers = rank[table[:, 1]]
        keys = table[:, 0].astype(np.int64) * max(len(people), 1) + workers
        # The last of equal keys is the first from the end.
        _, from_end = np.unique(keys[::-1], return_index=True)
        kept = len(keys) - 1 - from_end
        seconds = np.array(self._seconds, np.float32)[kept]
        flags = table[kept, 3:].astype(np.bool_)
        experts = np.array([worker in self._experts for worker in people], np.bool_)
        return Given(people, table[kept, 0], workers[kept], table[kept, 2], seconds, flags[:, 0], flags[:, 1], experts)


def collect(book: Book, job: LabelingJob, asked: NDArray[np.int32], parse: Parse) -> None:
    """Enter the answers of one labeling job.

    Raises:
        JobError: a response that cannot be read, or one to a line that was not asked.
    """
    by_experts = job.team == EXPERTS
    for path in _responses(job.responses):
        line = path.parent.name
        item = int(asked[int(line)]) if line.isdecimal() and int(line) < len(asked) else -1
        if item < 0:
            raise JobError(f"{_short(path)} answers line {line!r}, which {job.tasks.name} does not have")
        document = read_json(path)
        try:
            for answer in document["answers"]:
                spent, worker = answer.get("timeSpentInSeconds"), answer["workerId"]
                if not isinstance(worker, str) or not worker:
                    raise TypeError(f"workerId {worker!r}")
                seconds = np.nan if spent is None else float(spent)
                book.add(item, worker, parse(answer["answerContent"]), seconds=seconds, by_experts=by_experts)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise JobError(f"{_short(path)} is not a worker response of this task: {error!r}") from None


def content(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """What the page's form element wrote: the part of an `answerContent` that has `name`, whatever the page calls it.

    Raises:
        KeyError: none has it.
    """
    for part in answer.values():
        if isinstance(part, dict) and name in part:
            return part
    raise KeyError(name)


def _responses(folder: Path) -> Iterator[Path]:
    """The response files; those to the same line in the order in which they were written."""
    for iteration in sorted(folder.glob("iteration-*"), key=_iteration):
        # Names rather than paths: of 100,000 folders paths are slow to make and to compare.
        for line in sorted(folder.name for folder in os.scandir(iteration)):
            for name in sorted(file.name for file in os.scandir(iteration / line)):
                if name.endswith(".json"):
                    yield iteration / line / name


def _iteration(path: Path) -> int:
    number = path.name.removeprefix("iteration-")
    return int(number) if number.isdecimal() else 0


def _short(path: Path) -> str:
    """The part of a response's path that tells which it is: <job>/iteration-<n>/<line>/<time>.json."""
    return f"{path.parents[4].name}/{'/'.join(path.parts[-3:])}"
