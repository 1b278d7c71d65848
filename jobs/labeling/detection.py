"""Detection: an answer is a set of boxes, each around a thing of one of the categories."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.labeling.answers import NO_CATEGORY, Bools, Given, content
from jobs.labeling.boxes import same_things
from jobs.labeling.drawings import Drawing, Drawings, described, drawn_in, rows_of
from jobs.labeling.tasks import Gold, Opinions
from jobs.labeling.things import Things, things_in
from jobs.manifest import METADATA, Entry

REVIEWS: Final = {"right": -2, "wrong": -3}
"""What experts say of boxes that they verify, and the number of that answer."""
RIGHT, WRONG = REVIEWS.values()
REVIEWER_ACCURACY: Final = 0.9
"""How often a verdict is believed to be right. No gold is among what is verified, so nothing measures it."""


@dataclass
class Detection:
    """Consolidates boxes; numbers of answers are positions among the drawings, or REVIEWS."""

    attribute: str
    categories: list[str]
    honeypots_for_experts: bool = field(default=False, init=False)
    """Experts correct or judge what was drawn, and gold has nothing drawn."""
    _numbers: dict[str, int] = field(init=False)
    _drawings: Drawings = field(init=False, default_factory=Drawings)
    _things: Things = field(init=False)
    _sizes: dict[int, tuple[int, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self.categories)}

    @property
    def class_names(self) -> list[str]:
        """The categories, and "" for nothing: no box where others drew one."""
        return [*self.categories, ""]

    def parse(self, answer: dict[str, Any]) -> int:
        try:
            drawn = content(answer, "boundingBoxes")
        except KeyError:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/sms-verification-data.html
            return REVIEWS.get(content(answer, "label")["label"], NO_CATEGORY)
        size = drawn["inputImageProperties"]
        return self._add(drawn["boundingBoxes"], (int(size["width"]), int(size["height"])))

    def number(self, label: Any) -> int:
        if isinstance(label, str):
            return REVIEWS.get(label, NO_CATEGORY)
        try:
            return self._add(label, (0, 0))
        except (KeyError, TypeError, ValueError):
            return NO_CATEGORY

    def recorded(self, number: int) -> Any:
        if number >= 0:
            return described(self._drawings[number], self.categories)
        return next((name for name, review in REVIEWS.items() if review == number), None)

    def truth(self, entry: Entry) -> Any:
        return described(self._known(entry), self.categories)

    def right(self, given: Given, gold: Gold) -> Bools:
        known = {item: self._known(entry) for item, entry in gold.items()}
        right = np.zeros(len(given), np.bool_)
        for row, (item, number) in enumerate(zip(given.objects.tolist(), given.labels.tolist(), strict=True)):
            if number >= 0 and item in known:
                right[row] = _same(self._drawings[number], known[item])
        return right

    def consolidate(self, given: Given, believed: Bools, gold: Gold, objects: int) -> Opinions:
        used = given.where(believed & (given.labels >= 0))
        # What experts made of the boxes that they were shown replaces them.
        corrected = np.isin(used.objects, used.objects[used.by_experts]) & ~used.by_experts
        used = used.where(~corrected)
        for item, number in zip(used.objects.tolist(), used.labels.tolist(), strict=True):
            if (size := self._drawings.size(number)) != (0, 0):
                self._sizes.setdefault(item, size)
        known = {item: self._known(entry) for item, entry in gold.items()}
        self._things = things_in(used, self._drawings, known, len(self.categories))
        confidences = self._things.confidences(objects)
        confidences[self._scattered(used, objects)] = 0
        self._reviewed(confidences, given.where(believed))
        return Opinions(confidences, np.bincount(used.objects, minlength=objects), self._things.counts)

    def blind(self, given: Given, gold: Gold) -> tuple[NDArray[np.intp], Bools]:
        drawn = given.where(given.labels >= 0)
        things = things_in(drawn, self._drawings, {}, len(self.categories))
        items = [item for item in np.unique(drawn.objects).tolist() if item in gold]
        right = [_same(things.of(item), self._known(gold[item])) for item in items]
        return np.array(items, np.intp), np.array(right, np.bool_)

    def line(self, values: Mapping[str, Any], item: int, opinions: Opinions, **metadata: Any) -> dict[str, Any]:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html (bounding box job output)
        found, now = self._things.of(item), metadata.pop("now", None) or datetime.now(UTC)
        width, height = self._sizes.get(item, (0, 0))
        sure, agreed = self._things.scores(item)
        return {
            **manifest.without_labels(values),
            self.attribute: {
                "image_size": [{"width": width, "height": height, "depth": 3}],
                "annotations": list(_annotations(found, width, height)),
            },
            self.attribute + METADATA: {
                "objects": [
                    {"confidence": round(confidence, 6), "agreement": round(agreement, 6)}
                    for confidence, agreement in zip(sure, agreed, strict=True)
                ],
                "class-map": {str(number): self.categories[number] for number in sorted(set(found.classes.tolist()))},
                "type": "groundtruth/object-detection",
                "confidence": round(float(opinions.confidences[item]), 6),
                "answers": int(opinions.answers[item]),
                "human-annotated": "yes",
                "creation-date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
                "job-name": metadata.pop("job_name"),
            },
        }

    def proposal(self, values: Mapping[str, Any], item: int, opinions: Opinions, **metadata: Any) -> dict[str, Any]:
        return self.line(values, item, opinions, **metadata)

    def agrees(self, entry: Entry, item: int) -> bool:
        return _same(self._known(entry), self._things.of(item))

    def _add(self, boxes: Any, size: tuple[int, int]) -> int:
        rows = rows_of(boxes, self._numbers)
        return NO_CATEGORY if rows is None else self._drawings.add(rows, size)

    def _known(self, entry: Entry) -> Drawing:
        return drawn_in(entry, self.attribute, self._numbers)

    def _scattered(self, given: Given, objects: int) -> Bools:
        """Where most people drew something and nothing came of it: they saw things in different places, so that each
        is nothing to all others, and the image would pass for empty."""
        drew = np.array([len(self._drawings[number].classes) > 0 for number in given.labels.tolist()], np.bool_)
        most = 2 * np.bincount(given.objects[drew], minlength=objects) > np.bincount(given.objects, minlength=objects)
        most[most] = [not len(self._things.of(item).classes) for item in np.flatnonzero(most).tolist()]
        return np.asarray(most)

    def _reviewed(self, confidences: NDArray[np.float64], given: Given) -> None:
        """Bayes: the odds that what was drawn is right, times those of each verdict of an expert, in place."""
        verdicts = np.zeros(len(confidences))
        np.add.at(verdicts, given.objects, (given.labels == RIGHT).astype(float) - (given.labels == WRONG))
        judged = np.isin(np.arange(len(confidences)), given.objects[given.labels <= RIGHT])
        odds = np.clip(confidences[judged], 0.01, 0.99) / (1 - np.clip(confidences[judged], 0.01, 0.99))
        odds *= (REVIEWER_ACCURACY / (1 - REVIEWER_ACCURACY)) ** verdicts[judged]
        confidences[judged] = odds / (1 + odds)


def _same(one: Drawing, other: Drawing) -> bool:
    return same_things(one.boxes, one.classes, other.boxes, other.classes)


def _annotations(found: Drawing, width: int, height: int) -> Iterator[dict[str, int]]:
    """Whole pixels, inside the image where its size is known."""
    limits = np.array([width, height, width, height]) if width and height else np.full(4, np.inf)
    whole = np.clip(np.round(found.boxes), 0, limits).astype(int)
    for number, (left, top, right, bottom) in zip(found.classes.tolist(), whole.tolist(), strict=True):
        yield {"class_id": number, "left": left, "top": top, "width": right - left, "height": bottom - top}
