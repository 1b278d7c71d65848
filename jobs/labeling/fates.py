"""What becomes of each object of a round: every one meets exactly one fate, and none is lost."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.errors import JobError
from jobs.labeling.answers import Bools
from jobs.labeling.intervals import clopper_pearson_lower, clopper_pearson_upper
from jobs.labeling.objects import Objects
from jobs.labeling.patterns import Floats
from jobs.manifest import SOURCE
from jobs.paths import read_json

FATES: Final = ("gold", "unreadable", "human", "uncertain", "unanswered", "machine", "withdrawn")
"""In this order: the first that applies. Besides them "duplicate" counts lines of the pool, not objects."""
GOLD, UNREADABLE, HUMAN, UNCERTAIN, UNANSWERED, MACHINE, WITHDRAWN = range(len(FATES))


@dataclass(frozen=True)
class Routing:
    """Where the scoring job sent the objects; columns over all of them."""

    asked: Bools
    machine: Bools
    audit: Bools
    unreadable: Bools

    @classmethod
    def read(cls, objects: Objects) -> "Routing":
        """
        Raises:
            JobError: a part is missing, or names an object that the round does not have.
        """
        asked, machine, audit = (
            objects.marked(number for number, _ in objects.routed(f"{name}.manifest"))
            for name in ("human", "machine", "audit")
        )
        refs = (ref for path in objects.summaries() for ref in _unreadable(path))
        return cls(
            asked, machine, audit, objects.marked(objects.numbers[ref] for ref in refs if ref in objects.numbers)
        )


def _unreadable(path: Path) -> list[str]:
    """The objects whose image could not be read, as an instance's routing.json names them."""
    summary = read_json(path)
    try:
        return [one[SOURCE] for one in summary["unreadable"]]
    except (KeyError, TypeError) as error:
        raise JobError(f"{path} must have a list of the unreadable objects: {error!r}") from None


@dataclass(frozen=True)
class Answered:
    """What people made of the objects; columns over all of them."""

    anybody: Bools
    """Whether anybody who is believed looked at it, if only to say that nobody can tell."""
    confidences: Floats
    asked_experts: Bools
    by_experts: Bools
    automated: Bools
    """Whether the labeling service's own model labeled it."""


@dataclass(frozen=True)
class Audit:
    """How the machine did on the audited objects that it would have labeled by itself."""

    objects: int
    disagreements: int
    unsettled: int
    """Audited objects about which people came to no label: nobody knows whether the machine was right."""
    people_err: float
    """The expected share of wrong labels among the people's own, as their posteriors say."""
    error_budget: float

    @property
    def low(self) -> float:
        """With 95 % confidence people and machine disagree more often; what is unsettled speaks for the machine."""
        return clopper_pearson_lower(self.disagreements, self.objects)

    @property
    def high(self) -> float:
        """With 95 % confidence they disagree less often; what is unsettled speaks against the machine."""
        return clopper_pearson_upper(self.disagreements + self.unsettled, self.objects)

    @property
    def withdrawn(self) -> bool:
        """Whether the round's audit disproves what the calibration promised: then no label of the machine is used.

        Where people are wrong they disagree with a machine that is right, so their own error comes on top of what is
        allowed.
        """
        return self.low > self.error_budget + self.people_err

    def described(self) -> dict[str, Any]:
        return {
            "objects": self.objects,
            "disagreements": self.disagreements,
            "unsettled": self.unsettled,
            "low": self.low,
            "high": self.high,
            "people_err": self.people_err,
            "error_budget": self.error_budget,
            "withdrawn": self.withdrawn,
        }


def audited(routing: Routing, answered: Answered, disagreements: int, target: float, error_budget: float) -> Audit:
    """The verdict on the machine's labels of this round.

    Args:
        disagreements: audited objects whose consolidated label, sure enough, is not the machine's.
    """
    checked = routing.machine & routing.audit & answered.anybody & ~routing.unreadable
    settled = checked & (answered.confidences >= target)
    unsure = 1 - answered.confidences[settled]
    objects, sure = int(checked.sum()), int(settled.sum())
    return Audit(objects, disagreements, objects - sure, float(unsure.mean()) if sure else 0.0, error_budget)


def decide(
    objects: Objects, routing: Routing, answered: Answered, target: float, *, withdrawn: bool
) -> NDArray[np.int8]:
    """The fate of each object of the pool, as an index into FATES.

    - People's word counts before the machine's, and so does their doubt.
    - What experts were asked and did not look at is offered again, and so is what nobody looked at.
    - An audited object never gets a label of a machine: it is there to check one. In doubt it stays what it is, whether
      experts looked at it or not: an audit without what is hard to tell would flatter the machine.

    Raises:
        JobError: an object that was routed neither to the machine nor to people.
    """
    unsure = answered.anybody & (answered.confidences < target)
    free = ~routing.audit
    applies = np.stack(
        [
            objects.is_gold,
            routing.unreadable,
            answered.anybody & ~unsure,
            unsure & ~(answered.asked_experts & ~answered.by_experts & free),
            unsure,
            answered.automated & free,
            routing.machine & free & (not withdrawn),
            routing.machine & free,
            routing.asked,
        ]
    )[:, : objects.pool]
    order = np.array([GOLD, UNREADABLE, HUMAN, UNCERTAIN, UNANSWERED, MACHINE, MACHINE, WITHDRAWN, UNANSWERED], np.int8)
    if (lost := np.flatnonzero(~applies.any(0))).size:
        ref = next(ref for ref, number in objects.numbers.items() if number == lost[0])
        raise JobError(
            f"pool.manifest: {json.dumps(ref)} was routed neither to the machine nor to people, and {lost.size - 1} "
            "others with it: run the scoring job again"
        )
    return np.asarray(order[applies.argmax(0)])


def counted(fates: NDArray[np.int8], duplicates: int) -> dict[str, int]:
    """How many met which fate; the numbers add up to the lines of the pool."""
    numbers = np.bincount(fates, minlength=len(FATES)).tolist()
    return {**dict(zip(FATES, numbers, strict=True)), "duplicate": duplicates}
