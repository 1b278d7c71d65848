"""The mission's round, a thousand times: 20,000 images, five labelers, a model that was trained before.

What it must hold, for scores that mean what they say and for scores that are badly overconfident:
1. The error of the labels that the machine gives alone exceeds the budget in no more than 5 % of the rounds, as far as
   a thousand of them can tell.
2. The machine keeps at least half of what a threshold could give it that knows every error beforehand.
And it counts the answers that people have to give, beside three other ways to share the work.

The model: ten classes, logits drawn from a normal distribution so wide that the softmax of them, which is what the
truth is drawn from, makes it right on 87 % of the images. Overconfident scores are the softmax of five times the
logits. Evidence is one third gold and two thirds objects of earlier audits, whose labels people gave with their own
errors. The labelers: two who err on 5 % and three who err on 2.5 %, each in a way of their own.

Nothing here decides what the product decides: thresholds come from jobs.labeling.acceptance, honeypots from
jobs.labeling.routing, and the first round goes through `route` itself, which must count the same.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from scipy.stats import binom

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from jobs import manifest  # noqa: E402
from jobs.labeling import routing  # noqa: E402
from jobs.labeling.acceptance import Evidence, Rule, acceptance, rule  # noqa: E402

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SEED: Final = 20_251
OBJECTS: Final = 20_000
CLASSES: Final = 10
SPREAD: Final = 8.0
"""Standard deviation of the logits."""
SHARPNESS: Final = {"well calibrated": 1.0, "badly overconfident": 5.0}
BUDGETS: Final = (0.01, 0.05)
EVIDENCE: Final = (300, 500, 1000, 1500, 2000, 3000)
USUAL: Final = 1500
"""500 gold objects and the audit of one earlier round, 5 % of 20,000."""
AUDIT_SHARE: Final = 0.05
HONEYPOT_SHARE: Final = 0.1
LABELERS: Final = (0.05, 0.05, 0.025, 0.025, 0.025)
ALLOWED: Final = 0.05
"""The share of rounds that may exceed the budget: what 95 % confidence means."""
MINIMUM_KEPT: Final = 0.5


def two_of_three(team: Sequence[float]) -> tuple[float, float]:
    """How often two of three labelers agree on a wrong class, and how often no two agree: every case, weighed.

    Class 0 is the true one; wrong answers are spread over the others.
    """
    wrong = apart = 0.0
    for given in product(range(CLASSES), repeat=3):
        chance = float(np.prod([err / (CLASSES - 1) if one else 1 - err for err, one in zip(team, given, strict=True)]))
        label, count = Counter(given).most_common(1)[0]
        apart += chance * (count == 1)
        wrong += chance * (count > 1 and label > 0)
    return wrong, apart


def careful() -> tuple[float, float]:
    """Votes and error of an object that three labelers see, and three experts where no two agree."""
    wrong, apart = np.mean([two_of_three(team) for team in combinations(LABELERS, 3)], axis=0)
    doubtful, lost = two_of_three(LABELERS[-3:])
    return 3 * (1 + float(apart)), float(wrong + apart * (doubtful + lost))


CAREFUL: Final = careful()
VOTES: Final = (1.0, CAREFUL[0])
ERRORS: Final = (float(np.mean(LABELERS)), CAREFUL[1])


@dataclass(frozen=True)
class Scores:
    """What the machine says of some objects and whether it is right, the surest first."""

    confidence: Floats
    margin: Floats
    correct: Bools

    @classmethod
    def of(cls, logits: Floats, correct: Bools, sharpness: float) -> "Scores":
        exponentials = np.exp(sharpness * (logits - logits.max(1, keepdims=True)))
        second, first = np.partition(exponentials, CLASSES - 2, axis=1)[:, -2:].T / exponentials.sum(1)
        order = np.argsort(-first, kind="stable")
        return cls(first[order], (first - second)[order], correct[order])

    def above(self, threshold: float | None) -> int:
        """How many labels are accepted."""
        return 0 if threshold is None else int(np.searchsorted(-self.confidence, -threshold))

    def errors(self, accepted: int) -> int:
        return int((~self.correct[:accepted]).sum())

    def oracle(self, budget: float) -> int:
        """How many labels the lowest threshold accepts whose errors, all known, stay within the budget."""
        possible = np.append(self.confidence[1:] != self.confidence[:-1], True)
        within = np.cumsum(~self.correct) <= budget * np.arange(1, len(self.correct) + 1)
        places = np.flatnonzero(possible & within)
        return int(places[-1]) + 1 if len(places) else 0


def drawn(rng: np.random.Generator, objects: int) -> tuple[Floats, Bools]:
    """Logits, and whether the class with the highest is the true one."""
    logits = rng.normal(0, SPREAD, (objects, CLASSES))
    best = 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)
    return logits, rng.random(objects) < best


def judged(rng: np.random.Generator, correct: Bools) -> Bools:
    """Whether the machine seems right by the labels of the evidence: gold's are the truth, the audits' are people's."""
    mistaken = (np.arange(len(correct)) % 3 > 0) & (rng.random(len(correct)) < ERRORS[1])
    same_mistake = rng.random(len(correct)) < 1 / (CLASSES - 1)
    return np.where(mistaken, ~correct & same_mistake, correct)


def cheapest(accepted: int, errors: int, people: int, extra: int, target: float) -> float:
    """The fewest answers with which all labels of a round together are wrong at most this often.

    Every way to share the work is helped to it by somebody who knows every error: of people's objects as many as is
    best get one vote and the others three (and the experts'), and if that is not enough, as many of the machine's
    labels as needed, taken at random, are given to people after all.

    Args:
        accepted, errors: labels that the machine gives, and how many of them are wrong.
        people: objects that people label.
        extra: objects that people label only for the sake of evidence.
    """
    best = np.inf
    for votes in np.linspace(VOTES[0], VOTES[-1], 81):
        error = float(np.interp(votes, VOTES, ERRORS))
        surplus = errors + people * error - target * OBJECTS
        rate = errors / max(accepted, 1)
        again = 0.0 if surplus <= 0 else surplus / (rate - error) if rate > error else np.inf
        if again <= accepted:
            best = min(best, votes * (people + again + extra))
    return float(best)


WAYS: Final = (
    "everyone labels everything, 3 votes",
    "everyone labels everything, 1 or 3 votes",
    "margin above 0.5",
    "Ground Truth's 95 %",
    "reefloop",
    "a threshold that knows",
)


def answers(rng: np.random.Generator, scores: Scores, accepted: int, budget: float) -> list[tuple[float, bool]]:
    """Answers needed by each of WAYS for the budget as final error, and whether the machine's own error exceeds it."""
    sure = scores.margin > 0.5
    # Ground Truth: 10 % of more than 5,000 objects are labeled first; the threshold is the lowest above which 95 % of
    # them were right. https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.md
    first = rng.random(OBJECTS) < 0.1
    right = np.cumsum(scores.correct & first) >= 0.95 * np.cumsum(first)
    places = np.flatnonzero(right & first)
    automatic = ~first & (np.arange(OBJECTS) <= (places[-1] if len(places) else -1))
    # People's label counts for what is audited, so those are not the machine's.
    alone = (np.arange(OBJECTS) < accepted) & (rng.random(OBJECTS) >= AUDIT_SHARE)
    knows = np.arange(OBJECTS) < scores.oracle(budget)
    asked = OBJECTS - int(alone.sum())
    evidence = USUAL + routing.honeypots_for(asked, HONEYPOT_SHARE)
    found = [(OBJECTS * VOTES[1], False)]
    for machine, extra in ((np.zeros(OBJECTS, bool), 0), (sure, 0), (automatic, 0), (alone, evidence), (knows, 0)):
        count, wrong = int(machine.sum()), int((machine & ~scores.correct).sum())
        found.append((cheapest(count, wrong, OBJECTS - count, extra, budget), wrong > budget * count))
    return found


@dataclass
class Tally:
    """What came of every round, by kind of scores, budget and amount of evidence."""

    exceeded: list[bool]
    kept: list[float]


def interval(count: int, rounds: int) -> tuple[float, float]:
    """The two-sided 95 % Clopper-Pearson interval."""
    low = float(betaincinv(count, rounds - count + 1, 0.025)) if count else 0.0
    return low, float(betaincinv(count + 1, rounds - count, 0.975)) if count < rounds else 1.0


def is_above(count: int, rounds: int) -> bool:
    """Whether so many rounds over the budget are significantly more than ALLOWED of them, at 5 %."""
    return bool(binom.sf(count - 1, rounds, ALLOWED) < 0.05)


def check_route(scores: Scores, by: Rule, accepted: int) -> None:
    """The streaming job itself decides as this page does."""
    threshold = next(iter(by.thresholds.values()), None)
    assert scores.above(threshold) == accepted
    with tempfile.TemporaryDirectory() as place:
        manifest.write(Path(place) / routing.SCORES, lines(scores))
        terms = routing.Terms(by, "species", ["a", "b"], "m-1", AUDIT_SHARE, HONEYPOT_SHARE, seed=1)
        counts = routing.route(Path(place), [], terms)
    assert (counts.machine, counts.human) == (accepted, OBJECTS - accepted)


def lines(scores: Scores) -> Iterator[dict[str, Any]]:
    for number, (confidence, margin) in enumerate(zip(scores.confidence, scores.margin, strict=True)):
        ref = {manifest.SOURCE: f"s3://b/images/upload/{number}.png", manifest.CONTENT: f"{number}"}
        opinion = {"label": "a", "runner-up": "b", "confidence": float(confidence), "margin": float(margin)}
        yield {**ref, **opinion}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds, started = parser.parse_args().rounds, time.perf_counter()
    tallies = {(kind, b, n): Tally([], []) for kind in SHARPNESS for b in BUDGETS for n in EVIDENCE}
    work: dict[tuple[str, float], list[list[tuple[float, bool]]]] = {
        (kind, b): [] for kind in SHARPNESS for b in BUDGETS
    }
    claimed: dict[str, list[float]] = {kind: [] for kind in SHARPNESS}
    for number, seed in enumerate(np.random.SeedSequence(SEED).spawn(rounds)):
        rng = np.random.default_rng(seed)
        (pool_logits, pool_right), (logits, right) = drawn(rng, OBJECTS), drawn(rng, EVIDENCE[-1])
        seen = judged(rng, right)
        for kind, sharpness in SHARPNESS.items():
            pool = Scores.of(pool_logits, pool_right, sharpness)
            claimed[kind].append(float(pool.confidence.mean()))
            for budget in BUDGETS:
                oracle = pool.oracle(budget)
                for size in EVIDENCE:
                    known = Scores.of(logits[:size], seen[:size], sharpness)
                    accepted = pool.above(acceptance(known.confidence, known.correct, budget).threshold)
                    tally = tallies[kind, budget, size]
                    tally.exceeded.append(pool.errors(accepted) > budget * accepted)
                    tally.kept.append(accepted / oracle)
                    if size == USUAL:
                        work[kind, budget].append(answers(rng, pool, accepted, budget))
                        if number == 0:
                            evidence = Evidence(["a"] * size, known.confidence, known.correct)
                            check_route(pool, rule(evidence, ["a", "b"], budget=budget, bound="pooled"), accepted)
    holds = report(rounds, tallies, work, {kind: float(np.mean(values)) for kind, values in claimed.items()})
    print(f"\n{rounds} rounds in {time.perf_counter() - started:.0f} s")
    return 0 if holds else 1


def report(
    rounds: int,
    tallies: dict[tuple[str, float, int], Tally],
    work: dict[tuple[str, float], list[list[tuple[float, bool]]]],
    claimed: dict[str, float],
) -> bool:
    """Print the tables; whether all that must hold does."""
    holds = True
    claims = ", ".join(f"{kind} ones claim {mean:.1%}" for kind, mean in claimed.items())
    print(f"Scores of a model that is right on 87 %: {claims}.\n")
    print(
        "| scores | budget | evidence | rounds over the budget | 95 % interval | of the oracle's labels | must hold |"
    )
    print("|---|---|---|---|---|---|---|")
    for (kind, budget, size), tally in tallies.items():
        over, kept = sum(tally.exceeded), float(np.mean(tally.kept))
        low, high = interval(over, rounds)
        valid, enough = not is_above(over, rounds), kept >= MINIMUM_KEPT
        holds &= valid and (enough or size != USUAL)
        verdict = ("valid" if valid else "NOT VALID") + ("" if size != USUAL else ", half" if enough else ", NOT HALF")
        share = f"{over / rounds:.1%} | {low:.1%} to {high:.1%}"
        print(f"| {kind} | {budget:.0%} | {size} | {share} | {kept:.0%} | {verdict} |")
    print(f"\nPeople err on {ERRORS[0]:.2%} alone and on {ERRORS[1]:.2%} with {VOTES[1]:.2f} votes.\n")
    print("| scores | final error | way | human answers | of the first | rounds over the budget |")
    print("|---|---|---|---|---|---|")
    for (kind, budget), found in work.items():
        means = np.mean([[cost for cost, _ in one] for one in found], axis=0)
        over_budget = np.mean([[exceeded for _, exceeded in one] for one in found], axis=0)
        for way, mean, share in zip(WAYS, means, over_budget, strict=True):
            print(f"| {kind} | {budget:.0%} | {way} | {mean:,.0f} | {mean / means[0]:.0%} | {share:.0%} |")
    return holds


if __name__ == "__main__":
    sys.exit(main())
