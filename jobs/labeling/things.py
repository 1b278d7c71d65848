"""The things that several people's boxes show: whether each is there, what it is, where it is.

A thing is a group of boxes that overlap, one for each person who drew it. Whoever looked at the image and drew no such
box has answered "nothing". So whether a thing is there and of which class is one question with one more answer than
there are classes, and Dawid-Skene answers it over all things of all images. On gold the truth joins the grouping like
one more person, and what comes of it is pinned: the class of the true box in the group, or nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.labeling.answers import Given
from jobs.labeling.boxes import groups, middle, overlaps
from jobs.labeling.certainty import tempered
from jobs.labeling.consolidation import Consolidated, dawid_skene, expected_counts
from jobs.labeling.drawings import Drawing, Drawings
from jobs.labeling.patterns import Answers, Floats, Indices

TRUTH: Final = -1
"""The owner of gold boxes in a grouping."""


@dataclass(frozen=True)
class Things:
    """Columns of equal length, ordered by object; an image without a single box has one row that is nothing."""

    objects: Indices
    classes: Indices
    """The most probable class; the number of classes stands for nothing."""
    nothing: int
    posteriors: Floats
    boxes: Floats
    agreements: Floats
    """How much people's boxes overlap with the consolidated one on average; no box counts 0."""
    counts: Floats
    """[worker, true class, answered class], nothing included: expected numbers of answers."""

    def of(self, item: int) -> Drawing:
        """The consolidated boxes of an object."""
        rows = self._rows(item)
        return Drawing(self.classes[rows], self.boxes[rows])

    def scores(self, item: int) -> tuple[list[float], list[float]]:
        """Posterior and agreement of each of its boxes."""
        rows = self._rows(item)
        return self.posteriors[rows].tolist(), self.agreements[rows].tolist()

    def confidences(self, objects: int) -> Floats:
        """[object]: an image is as sure as the least sure of its things, boxes or not; 0 where nobody drew."""
        least = np.full(objects, 2.0)
        np.minimum.at(least, self.objects, self.posteriors)
        return np.where(least > 1, 0.0, least)

    def _rows(self, item: int) -> Indices:
        start, end = np.searchsorted(self.objects, [item, item + 1])
        rows = np.arange(start, end)
        return np.asarray(rows[self.classes[rows] != self.nothing])


@dataclass(frozen=True)
class _Thing:
    """One group of boxes before anything is known of it."""

    item: int
    classes: Indices
    boxes: Floats
    owners: Indices
    """Workers of the boxes."""
    absent: Indices
    """Workers who looked at the image and drew no such box."""
    truth: int
    """The known class, -1 where it is unknown."""


def things_in(given: Given, drawings: Drawings, gold: Mapping[int, Drawing], classes: int) -> Things:
    """Consolidate drawings.

    Args:
        given: answers whose labels are numbers of drawings.
        gold: what is known, by object.
        classes: how many there are.
    """
    things = list(_grouped(given, drawings, gold, classes))
    answers, known = _votes(things, classes), np.array([thing.truth for thing in things], np.intp)
    people = len(given.people)
    found = tempered(dawid_skene(answers, objects=len(things), workers=people, classes=classes + 1, gold=known))
    boxes, agreements = np.zeros((len(things), 4)), np.zeros(len(things))
    for number, thing in enumerate(things):
        if len(thing.boxes):
            boxes[number] = middle(thing.boxes, _skills(found, thing))
            near = overlaps(boxes[number : number + 1], thing.boxes)
            agreements[number] = near.sum() / (len(thing.boxes) + len(thing.absent))
    return Things(
        np.array([thing.item for thing in things], np.intp),
        found.labels,
        classes,
        found.confidences,
        boxes,
        agreements,
        expected_counts(answers, found, workers=people, classes=classes + 1),
    )


def _grouped(given: Given, drawings: Drawings, gold: Mapping[int, Drawing], classes: int) -> Iterator[_Thing]:
    items, starts = np.unique(given.objects, return_index=True)
    for item, start, end in zip(items.tolist(), starts.tolist(), [*starts[1:].tolist(), len(given)], strict=True):
        workers = given.workers[start:end].astype(np.intp)
        drawn = [drawings[number] for number in given.labels[start:end].tolist()]
        owners = np.repeat(workers, [len(one.classes) for one in drawn])
        if item in gold:
            drawn.append(gold[item])
            owners = np.append(owners, np.full(len(gold[item].classes), TRUTH))
        labels, boxes = np.concatenate([one.classes for one in drawn]), np.concatenate([one.boxes for one in drawn])
        if not len(boxes):
            yield _Thing(item, labels, boxes, owners, workers, classes if item in gold else -1)
            continue
        group = groups(boxes, owners)
        for number in range(int(group.max()) + 1):
            people = (group == number) & (owners != TRUTH)
            true = labels[(group == number) & (owners == TRUTH)]
            truth = int(true[0]) if len(true) else classes if item in gold else -1
            absent = np.setdiff1d(workers, owners[people])
            yield _Thing(item, labels[people], boxes[people], owners[people], absent, truth)


def _votes(things: list[_Thing], classes: int) -> Answers:
    """Each person's class of each thing; nothing, where they drew no box."""

    def column(parts: list[NDArray[np.intp]]) -> Indices:
        return np.concatenate(parts) if parts else np.zeros(0, np.intp)

    sizes = [len(thing.owners) + len(thing.absent) for thing in things]
    return Answers(
        np.repeat(np.arange(len(things)), np.array(sizes, np.intp)),
        column([np.concatenate([thing.owners, thing.absent]) for thing in things]),
        column([np.concatenate([thing.classes, np.full(len(thing.absent), classes)]) for thing in things]),
    )


def _skills(found: Consolidated, thing: _Thing) -> Floats:
    """How often each owner names what they drew when it is there."""
    return np.asarray(found.confusion[thing.owners, thing.classes, thing.classes])
