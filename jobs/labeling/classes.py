"""Classification: an answer is one of the categories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.labeling.answers import NO_CATEGORY, Bools, Given, content
from jobs.labeling.certainty import tempered
from jobs.labeling.consolidation import Consolidated, dawid_skene, expected_counts
from jobs.labeling.patterns import Answers
from jobs.labeling.tasks import Gold, Opinions
from jobs.manifest import Entry

_LABEL: Final = "label"


@dataclass
class Classification:
    """Consolidates classes; numbers of answers are positions among the categories."""

    attribute: str
    class_names: list[str]
    honeypots_for_experts: bool = field(default=True, init=False)
    _numbers: dict[str, int] = field(init=False)
    _labels: NDArray[np.intp] = field(init=False, default_factory=lambda: np.zeros(0, np.intp))

    def __post_init__(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self.class_names)}

    def parse(self, answer: dict[str, Any]) -> int:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/sms-ui-template-crowd-image-classifier.html
        return self.number(content(answer, _LABEL)[_LABEL])

    def number(self, label: Any) -> int:
        return self._numbers.get(label, NO_CATEGORY) if isinstance(label, str) else NO_CATEGORY

    def recorded(self, number: int) -> str | None:
        return None if number == NO_CATEGORY else self.class_names[number]

    def truth(self, entry: Entry) -> str:
        name = entry.class_name(self.attribute)
        if name not in self._numbers:
            raise entry.error(f"has the class {name!r}; the label categories are {', '.join(self.class_names)}")
        return name

    def right(self, given: Given, gold: Gold) -> Bools:
        known = np.full(int(given.objects.max(initial=-1)) + 1, NO_CATEGORY - 1)
        for item, entry in gold.items():
            if item < len(known):
                known[item] = self._numbers[self.truth(entry)]
        return np.asarray(known[given.objects] == given.labels)

    def consolidate(self, given: Given, believed: Bools, gold: Gold, objects: int) -> Opinions:
        known = np.full(objects, -1)
        for item, entry in gold.items():
            known[item] = self._numbers[self.truth(entry)]
        said = given.labels != NO_CATEGORY
        used = given.where(said & believed)
        found = self._estimate(used, objects, known)
        self._labels = found.labels
        answers = np.bincount(used.objects, minlength=objects)
        counts = expected_counts(
            _columns(given.where(said)), found, workers=len(given.people), classes=len(self.class_names)
        )
        return Opinions(np.where(answers > 0, found.confidences, 0.0), answers, counts)

    def blind(self, given: Given, gold: Gold) -> tuple[NDArray[np.intp], Bools]:
        items, place = np.unique(given.objects, return_inverse=True)
        labels = self._estimate(given, len(items), None, place).labels
        answered = [(number, item) for number, item in enumerate(items.tolist()) if item in gold]
        right = [labels[number] == self._numbers[self.truth(gold[item])] for number, item in answered]
        return np.array([item for _, item in answered], np.intp), np.array(right, np.bool_)

    def line(self, values: Mapping[str, Any], item: int, opinions: Opinions, **metadata: Any) -> dict[str, Any]:
        return manifest.labeled(
            manifest.without_labels(values),
            self.attribute,
            self.class_names,
            self.class_names[int(self._labels[item])],
            by_human=True,
            confidence=float(opinions.confidences[item]),
            answers=int(opinions.answers[item]),
            **metadata,
        )

    def agrees(self, entry: Entry, item: int) -> bool:
        return entry.class_name(self.attribute) == self.class_names[int(self._labels[item])]

    def proposal(self, values: Mapping[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        # Experts answer blindly: there is no review of classes.
        return manifest.without_labels(values)

    def _estimate(
        self, given: Given, objects: int, gold: NDArray[np.intp] | None, place: NDArray[np.intp] | None = None
    ) -> Consolidated:
        classes = len(self.class_names)
        columns = _columns(given, place)
        return tempered(dawid_skene(columns, objects=objects, workers=len(given.people), classes=classes, gold=gold))


def _columns(given: Given, place: NDArray[np.intp] | None = None) -> Answers:
    return Answers(given.objects if place is None else place, given.workers, given.labels)
