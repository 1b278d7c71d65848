"""One object's vote: the label that most people chose."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict

from reefloop.labeling.ground_truth import CANNOT_TELL

Consolidated = TypedDict(
    "Consolidated",
    {"class-name": str, "class": int, "confidence": float, "answers": int, "cannot-tell": int, "unusable": int},
)
"""`confidence` is the share of the answers that agree, 0 with a single one, as in Ground Truth's own consolidation;
without an answer that names a category "class-name" is "" and "class" -1."""


def majority(labels: Iterable[str | None], categories: Sequence[str]) -> Consolidated:
    """The label with the most votes; of several, the one that comes first among the categories.

    Args:
        labels: one per annotation, None for one that is no answer. A label that is no category is no vote either.
        categories: their order decides a tie, so that the same answers always give the same label.
    """
    given = Counter(labels)
    votes = {name: given[name] for name in categories if given[name]}
    answers, cannot_tell = sum(votes.values()), given[CANNOT_TELL]
    best = max(votes, key=votes.__getitem__, default="")
    return {
        "class-name": best,
        "class": categories.index(best) if best else -1,
        "confidence": round(votes[best] / (answers + cannot_tell), 2) if answers + cannot_tell > 1 and best else 0.0,
        "answers": answers,
        "cannot-tell": cannot_tell,
        "unusable": sum(given.values()) - answers - cannot_tell,
    }
