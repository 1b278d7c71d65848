"""What the consolidation asks of a type of task: classification (classes.py) or detection (detection.py)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.labeling.answers import Bools, Given
from jobs.labeling.patterns import Floats
from jobs.manifest import Entry

Gold = Mapping[int, Entry]
"""Objects whose label is known, by their number."""


@dataclass(frozen=True)
class Opinions:
    """What the answers to a round's objects come to; the first two are columns over all objects."""

    confidences: Floats
    """The probability that the consolidated label is right; 0 where nobody named a category."""
    answers: NDArray[np.intp]
    """Out of how many answers it follows."""
    counts: Floats
    """[worker, true class, answered class]: the expected numbers of answers."""


class Task(Protocol):
    """One type of task, for the categories and the label attribute of a project."""

    @property
    def class_names(self) -> list[str]:
        """What the classes of `Opinions.counts` are called."""

    def parse(self, content: dict[str, Any]) -> int:
        """The number of an answer. Errors: see answers.Parse."""

    def number(self, label: Any) -> int:
        """The number of an answer that gold-answers.jsonl holds, as `recorded` gave it."""

    def recorded(self, number: int) -> Any:
        """An answer for gold-answers.jsonl."""

    def truth(self, entry: Entry) -> Any:
        """The label of a gold line, likewise.

        Raises:
            JobError: the line has none, or one of a class that is no category.
        """

    def right(self, given: Given, gold: Gold) -> Bools:
        """[answer]: whether it is what gold says; False for objects that are not gold."""

    def consolidate(self, given: Given, believed: Bools, gold: Gold, objects: int) -> Opinions:
        """Labels that follow from the answers and from gold.

        Args:
            given: the answers; those that are not `believed` decide nothing and are counted in `Opinions.counts`.
            objects: how many objects there are.
        """

    def blind(self, given: Given, gold: Gold) -> tuple[NDArray[np.intp], Bools]:
        """The answered gold objects, and whether each comes out right when nobody tells the truth beforehand."""

    def line(self, values: Mapping[str, Any], item: int, opinions: Opinions, **metadata: Any) -> dict[str, Any]:
        """The manifest line of an object with its consolidated label; `metadata` has job_name and now."""

    def agrees(self, entry: Entry, item: int) -> bool:
        """Whether the label of a machine's line is the consolidated one of the object."""

    @property
    def honeypots_for_experts(self) -> bool:
        """Whether gold can be mixed into the experts' work without showing."""

    def proposal(self, values: Mapping[str, Any], item: int, opinions: Opinions, **metadata: Any) -> dict[str, Any]:
        """The line of an object in doubt as experts get it; `metadata` as for `line`."""
