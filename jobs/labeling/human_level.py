"""How good people are, alone and together: errors against objects whose class is known.

The lowest error that the evidence supports is the proxy for the error that nobody can go below (the Bayes error).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from jobs.labeling.answers import Bools, Given
from jobs.labeling.intervals import CONFIDENCE, clopper_pearson_upper, wilson
from jobs.labeling.labeling_jobs import EXPERTS, LABELERS

VOTES: Final = 3
"""A team is judged on gold objects that so many of its people answered (all of them, if it has fewer): what one of
them says alone is not what the team says."""

NOBODY: Final[dict[str, Any]] = {"error": None, "who": None, "reason": "no gold object was answered", "candidates": []}

Blind = Callable[[Bools], tuple[NDArray[np.intp], Bools]]
"""Consolidates the answers of some people ([worker] mask) alone: the gold objects that they answered, and whether each
came out right without anybody being told the truth."""


@dataclass(frozen=True)
class Candidate:
    """Somebody's errors on gold, with the 95 % Wilson interval of the rate behind them."""

    who: str
    kind: Literal["worker", "tier", "team"]
    members: list[str]
    gold_objects: int
    gold_answers: int
    gold_errors: int
    effective: float
    """How many independent answers the answers are worth."""
    outcomes: dict[int, bool]
    """Whether each gold object came out right; of teams only."""

    @property
    def error(self) -> float:
        return self.gold_errors / self.gold_answers

    def bound(self, confidence: float) -> float:
        """The exact upper bound of the error."""
        objects = max(1, int(self.effective))
        return clopper_pearson_upper(round(self.error * objects), objects, confidence)

    def described(self) -> dict[str, Any]:
        low, high = wilson(self.error * self.effective, self.effective)
        return {
            "who": self.who,
            "kind": self.kind,
            **({} if self.kind == "worker" else {"members": self.members}),
            "error": self.error,
            "low": low,
            "high": high,
            "gold_objects": self.gold_objects,
            "gold_answers": self.gold_answers,
            "gold_errors": self.gold_errors,
        }


def human_level(on_gold: Given, right: Bools, *, experts: Bools, dropped: Bools, blind: Blind) -> dict[str, Any]:
    """The candidates for the human level, and the one that the evidence supports.

    Candidates are each worker, the people of each tier (each alone), each tier as a team, and everybody as a team.

    - The choice is by the upper end of an exact interval, not by the error itself. The lowest of many measured errors
      is low by luck as well as by skill (the winner's curse), and luck is largest where evidence is smallest: no error
      in five objects proves less than one in two hundred. The interval's confidence is Bonferroni's, 1 - 0.05 / number
      of candidates, so with 95 % confidence the error of whoever is chosen is at most `supported`, although it was
      chosen for being low.
    - A team within the chosen team that is as good takes its place: the larger one has to have been right where the
      smaller one was wrong more often than the other way round, on the gold objects that both labeled, by an exact
      sign test at 5 %. It costs more answers per object, so it has to show for it.
    - A worker's answers to a gold object count once, the latest, whatever the number of rounds. A tier's answers to
      one object are not independent, so they count as the number of answers whose mean would vary as much (L. Kish,
      "Survey Sampling", 1965, section 8.2: the design effect).

    Args:
        on_gold: the answers to gold objects, of all rounds.
        right: [answer]: whether it is what gold says.
        experts: [worker]: whether they are of the experts' tier.
        dropped: [worker]: who is a candidate by themselves alone, since nobody believes them.
    """
    candidates = [*_workers(on_gold, right), *_groups(on_gold, right, experts, ~dropped, blind)]
    if not candidates:
        return NOBODY
    confidence = 1 - (1 - CONFIDENCE) / len(candidates)
    best = min(candidates, key=lambda one: (one.bound(confidence), one.error))
    reason = f"the lowest upper bound of {len(candidates)} candidates"
    for smaller in sorted(candidates, key=lambda one: len(one.members)):
        if _stands_in(smaller, best):
            reason = f"{best.who} is not measurably better, and no other has a lower upper bound"
            best = smaller
            break
    return {
        **best.described(),
        "supported": best.bound(confidence),
        "reason": f"{best.gold_errors} errors in {best.gold_answers} answers to {best.gold_objects} objects: {reason}",
        "candidates": [one.described() for one in candidates],
    }


def _workers(on_gold: Given, right: Bools) -> Iterator[Candidate]:
    for number, person in enumerate(on_gold.people):
        mine = on_gold.workers == number
        answers, errors = int(mine.sum()), int((mine & ~right).sum())
        if answers:
            yield Candidate(f"worker {person}", "worker", [person], answers, answers, errors, answers, {})


def _groups(on_gold: Given, right: Bools, experts: Bools, believed: Bools, blind: Blind) -> Iterator[Candidate]:
    present = believed & (np.bincount(on_gold.workers, minlength=len(on_gold.people)) > 0)
    tiers = {LABELERS: present & ~experts, EXPERTS: present & experts}
    for name, members in tiers.items():
        if members.sum() > 1:
            yield _tier(f"{name}, each alone", on_gold, right, members)
    teams = {f"team of {name}": members for name, members in tiers.items()}
    if all(members.any() for members in tiers.values()):
        teams["team of everybody"] = present
    for name, members in teams.items():
        if members.sum() > 1 and (team := _team(name, on_gold, members, blind)):
            yield team


def _names(on_gold: Given, members: Bools) -> list[str]:
    return [on_gold.people[number] for number in np.flatnonzero(members).tolist()]


def _tier(who: str, on_gold: Given, right: Bools, members: Bools) -> Candidate:
    theirs = members[on_gold.workers]
    _, place = np.unique(on_gold.objects[theirs], return_inverse=True)
    answers, errors = np.bincount(place), np.bincount(place, weights=~right[theirs])
    total, wrong = int(answers.sum()), int(errors.sum())
    rate = wrong / total
    variance = float(((errors - rate * answers) ** 2).sum()) / total**2
    effective = min(total, max(len(answers), rate * (1 - rate) / variance)) if variance > 0 else len(answers)
    return Candidate(who, "tier", _names(on_gold, members), len(answers), total, wrong, effective, {})


def _team(who: str, on_gold: Given, members: Bools, blind: Blind) -> Candidate | None:
    theirs = on_gold.objects[members[on_gold.workers]]
    votes = np.bincount(theirs, minlength=1)
    items, right = blind(members)
    joint = votes[items] >= min(VOTES, int(members.sum()))
    outcomes = dict(zip(items[joint].tolist(), right[joint].tolist(), strict=True))
    if not outcomes:
        return None
    objects, errors = len(outcomes), sum(not correct for correct in outcomes.values())
    return Candidate(who, "team", _names(on_gold, members), objects, objects, errors, objects, outcomes)


def _stands_in(smaller: Candidate, best: Candidate) -> bool:
    """Whether a team within the best one has about as much evidence and is not measurably worse."""
    if not set(smaller.members) < set(best.members) or smaller.kind != "team":
        return False
    both = smaller.outcomes.keys() & best.outcomes.keys()
    gained = sum(best.outcomes[item] and not smaller.outcomes[item] for item in both)
    lost = sum(smaller.outcomes[item] and not best.outcomes[item] for item in both)
    # The probability of so many gains, or more, when gains and losses are alike.
    p_value = float(bdtrc(gained - 1, gained + lost, 0.5))
    return 2 * smaller.gold_objects >= best.gold_objects and p_value > 1 - CONFIDENCE
