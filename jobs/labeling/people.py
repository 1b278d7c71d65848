"""What a round's people say of each object, all of them together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from jobs.errors import JobError
from jobs.labeling import answers
from jobs.labeling.answers import Answer
from jobs.labeling.consolidation import Answers, Indices, dawid_skene


@dataclass(frozen=True)
class Opinion:
    """The team's label of one object, how probable it is and out of how many answers."""

    label: str
    posterior: float
    answers: int


@dataclass(frozen=True)
class Team:
    """The answers of a round and what follows from them."""

    answers: Mapping[str, Mapping[str, Answer]]
    """By source-ref and worker."""
    opinions: dict[str, Opinion]
    """By source-ref, of every answered object."""
    blind_labels: dict[str, str]
    """By source-ref, the labels of the answered gold objects as they come out when nothing is known beforehand."""
    unknown_labels: int
    unfinished_jobs: list[str]


def consolidated(folder: Path, categories: list[str], *, known: Mapping[str, str], expected: Collection[str]) -> Team:
    """Read the answers of a round and consolidate them twice: with what is known of gold, and blind.

    Args:
        known: source-ref of gold objects to their class.
        expected: source-refs that anybody can have been asked about.

    Raises:
        JobError: an answer to an object that nobody was asked about, or gold with a class that is no category.
    """
    found = answers.read(folder, categories)
    if strangers := sorted(found.answers.keys() - expected):
        raise JobError(f"people labeled {strangers[0]}, which is in neither the pool nor the gold of this round")
    if alien := sorted(set(known.values()) - set(categories)):
        raise JobError(f"gold.manifest has the class {alien[0]!r}; the label categories are {', '.join(categories)}")
    # Sorted, so that the order in which answers are found changes nothing.
    refs = sorted(found.answers)
    workers = sorted({worker for given in found.answers.values() for worker in given})
    columns = _columns(found.answers, refs, workers, categories)
    estimate = partial(dawid_skene, columns, objects=len(refs), workers=len(workers), classes=len(categories))
    gold = np.array([categories.index(known[ref]) if ref in known else -1 for ref in refs], np.intp)
    informed = estimate(gold=gold).posteriors
    blind = estimate().posteriors
    opinions = {
        ref: Opinion(categories[int(row.argmax())], float(row.max()), len(found.answers[ref]))
        for ref, row in zip(refs, informed, strict=True)
    }
    blind_labels = {ref: categories[int(row.argmax())] for ref, row in zip(refs, blind, strict=True) if ref in known}
    return Team(found.answers, opinions, blind_labels, found.unknown_labels, found.unfinished_jobs)


def _columns(
    given: Mapping[str, Mapping[str, Answer]], refs: list[str], workers: list[str], categories: list[str]
) -> Answers:
    worker_index = {worker: number for number, worker in enumerate(workers)}
    label_index = {label: number for number, label in enumerate(categories)}
    rows = [
        (number, worker_index[worker], label_index[answer.label])
        for number, ref in enumerate(refs)
        for worker, answer in sorted(given[ref].items())
    ]
    table: Indices = np.array(rows, np.intp).reshape(-1, 3)
    return Answers(table[:, 0], table[:, 1], table[:, 2])
