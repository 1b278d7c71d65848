"""How good people are: the error of each worker, and of all of them together, against objects whose class is known."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from jobs.labeling.answers import Answer
from jobs.labeling.intervals import wilson

TEAM: Final = "team"


@dataclass(frozen=True)
class ErrorRate:
    """Errors counted on gold, with the 95 % interval of the rate behind them."""

    who: str
    gold_objects: int
    gold_errors: int
    error: float | None
    low: float
    high: float

    @classmethod
    def of(cls, who: str, outcomes: Iterable[bool]) -> "ErrorRate":
        """From one outcome per gold object: True where it was labeled right."""
        counted = list(outcomes)
        errors = counted.count(False)
        return cls(who, len(counted), errors, errors / len(counted) if counted else None, *wilson(errors, len(counted)))


def worker_report(answers: Mapping[str, Mapping[str, Answer]], gold: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is known of each worker: answers, time, errors against gold.

    Args:
        answers: by source-ref and worker.
        gold: source-ref to the known class.
    """
    by_worker: dict[str, list[tuple[str, Answer]]] = {}
    for source_ref, given in answers.items():
        for answer in given.values():
            by_worker.setdefault(answer.worker, []).append((source_ref, answer))
    report = []
    for worker, given_by in sorted(by_worker.items()):
        rate = ErrorRate.of(worker, (answer.label == gold[ref] for ref, answer in given_by if ref in gold))
        seconds = [answer.seconds for _, answer in given_by if answer.seconds is not None]
        timing = median(seconds) if seconds else None
        report.append({"worker": worker, "answers": len(given_by), "median_seconds": timing, **_without_who(rate)})
    return report


def human_level(
    answers: Mapping[str, Mapping[str, Answer]], gold: Mapping[str, str], team_labels: Mapping[str, str]
) -> dict[str, Any]:
    """The lowest error that the evidence supports, as the proxy for the error that nobody can go below (Bayes error).

    Candidates are each worker and the team. The one with the lowest upper end of its interval is chosen: a worker who
    made no error in five objects has proven less than a team that made one in two hundred.

    Args:
        team_labels: what the team made of the gold objects without being told their class.
    """
    workers = [{**entry, "who": entry["worker"]} for entry in worker_report(answers, gold) if entry["gold_objects"]]
    team = ErrorRate.of(TEAM, (label == gold[ref] for ref, label in team_labels.items()))
    candidates: list[dict[str, Any]] = [asdict(team)] if team.gold_objects else []
    candidates += [{name: entry[name] for name in asdict(team)} for entry in workers]
    if not candidates:
        return {"error": None, "who": None, "reason": "no gold object was answered", "candidates": []}
    best = min(candidates, key=lambda entry: (entry["high"], entry["error"]))
    return {**best, "candidates": candidates}


def _without_who(rate: ErrorRate) -> dict[str, Any]:
    return {name: value for name, value in asdict(rate).items() if name != "who"}
