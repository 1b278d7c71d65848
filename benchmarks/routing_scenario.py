"""The mission's round, a thousand times: 20,000 images, five labelers, a model that was trained before.

What must hold, for scores that mean what they say and for scores that are badly overconfident:
1. The error of the labels that the machine gives alone exceeds the budget in no more than 5 % of the rounds, as far as
   a thousand of them can tell: the rate behind the labels, which the product bounds, with any amount of evidence; the
   errors counted in the round's own labels, which have luck of their own besides, with the usual amount.
2. With the usual amount of evidence the machine keeps at least half of what a threshold could give it that knows every
   error beforehand.
And the answers are counted that people have to give, beside other ways to share the work.

The model's logits are normal, and the truth is drawn from their softmax: those scores mean what they say. Overconfident
ones are the softmax of five times the logits. Evidence is one third gold and two thirds objects of earlier audits,
whose labels people gave with errors of their own.

Thresholds come from jobs.labeling.acceptance and honeypots from jobs.labeling.routing, as in the product; the first
round goes through `route` itself, which must count the same.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from mission.machine import Bools, Scores, World, drawn
from mission.people import CLASSES, ERRORS, OBJECTS, VOTES, cheapest
from scipy.special import betaincinv
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).parents[1]))

from jobs import manifest
from jobs.labeling import routing
from jobs.labeling.acceptance import Evidence, acceptance, rule
from jobs.labeling.predictions import FILE, Labeler, Opinion

SEED: Final = 20_251
SHARPNESS: Final = {"well calibrated": 1.0, "badly overconfident": 5.0}
BUDGETS: Final = (0.01, 0.05)
EVIDENCE: Final = (300, 500, 1000, 1500, 2000, 3000)
USUAL: Final = 1500
"""500 gold objects and the audit of one earlier round, 5 % of 20,000."""
AUDIT_SHARE: Final = 0.05
HONEYPOT_SHARE: Final = 0.1
ALLOWED: Final = 0.05
"""The share of rounds that may exceed the budget: what 95 % confidence means."""
MINIMUM_KEPT: Final = 0.5
WAYS: Final = (
    "everyone labels everything, 3 votes",
    "everyone labels everything, 1 or 3 votes",
    "margin above 0.5",
    "Ground Truth's 95 %",
    "reefloop",
    "a threshold that knows",
)

Ways = list[tuple[float, bool]]
"""For each of WAYS the answers needed and whether the machine's errors exceed the budget."""


@dataclass
class Tally:
    """What came of every round, for one kind of scores, one budget and one amount of evidence."""

    rate: list[bool]
    """Whether the error rate behind the accepted labels exceeds the budget."""
    counted: list[bool]
    """Whether the errors among them do."""
    kept: list[float]
    """Accepted labels as a share of those that the oracle accepts."""


def judged(rng: np.random.Generator, correct: Bools) -> Bools:
    """Whether the machine seems right by the labels of the evidence: gold's are the truth, the audits' are people's."""
    mistaken = (np.arange(len(correct)) % 3 > 0) & (rng.random(len(correct)) < ERRORS[1])
    same_mistake = rng.random(len(correct)) < 1 / (CLASSES - 1)
    return np.where(mistaken, ~correct & same_mistake, correct)


def shared(rng: np.random.Generator, scores: Scores, accepted: int, budget: float) -> Ways:
    """The ways to share the work, each with the budget as its final error."""
    place = np.arange(OBJECTS)
    # Ground Truth: 10 % of more than 5,000 objects are labeled first; the threshold is the lowest above which 95 % of
    # them were right. https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.md
    first = rng.random(OBJECTS) < 0.1
    enough = np.flatnonzero(first & (np.cumsum(scores.correct & first) >= 0.95 * np.cumsum(first)))
    automatic = ~first & (place <= (enough[-1] if len(enough) else -1))
    # People's label counts for what is audited, so those are not the machine's.
    alone = (place < accepted) & (rng.random(OBJECTS) >= AUDIT_SHARE)
    evidence = USUAL + routing.honeypots_for(OBJECTS - int(alone.sum()), HONEYPOT_SHARE)
    by_machine = (place < 0, scores.margin > 0.5, automatic, alone, place < scores.oracle(budget))
    ways = [(OBJECTS * VOTES[1], False)]
    for machine, extra in zip(by_machine, (0, 0, 0, evidence, 0), strict=True):
        count, wrong = int(machine.sum()), int((machine & ~scores.correct).sum())
        ways.append((cheapest(count, wrong, OBJECTS - count, extra, budget), wrong > budget * count))
    return ways


def check_route(scores: Scores, known: Scores, budget: float, accepted: int) -> None:
    """The streaming job decides as this page does."""
    evidence = Evidence(["a"] * len(known.confidence), known.confidence, known.correct.astype(bool))
    by = rule(evidence, ["a", "b"], budget=budget, bound="pooled")
    with tempfile.TemporaryDirectory() as place:
        machine = Labeler("species", ["a", "b"], "m-1", datetime(2026, 1, 31, tzinfo=UTC))
        manifest.write(Path(place) / FILE, lines(scores, machine))
        terms = routing.Terms(by, machine, AUDIT_SHARE, HONEYPOT_SHARE, seed=1)
        counts = routing.route(Path(place), [], terms)
    assert (counts.machine, counts.human) == (accepted, OBJECTS - accepted)


def lines(scores: Scores, machine: Labeler) -> Iterator[dict[str, Any]]:
    for number, (confidence, margin) in enumerate(zip(scores.confidence, scores.margin, strict=True)):
        ref = {manifest.SOURCE: f"s3://b/images/upload/{number}.png", manifest.CONTENT: f"{number}"}
        yield machine.predicted(ref, Opinion("a", float(confidence), "b", float(margin), {}))


def is_above(count: int, rounds: int) -> bool:
    """Whether so many rounds over the budget are significantly more than ALLOWED of them, at 5 %."""
    return bool(binom.sf(count - 1, rounds, ALLOWED) < 0.05)


def share(exceeded: list[bool]) -> str:
    """The share of rounds, its exact 95 % interval, and a mark where it is significantly above what is allowed."""
    count, rounds = sum(exceeded), len(exceeded)
    low = float(betaincinv(count, rounds - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, rounds - count, 0.975)) if count < rounds else 1.0
    return f"{count / rounds:.1%} ({low:.1%} to {high:.1%}){' !' * is_above(count, rounds)}"


def report_budget(tallies: dict[tuple[str, float, int], Tally]) -> bool:
    """Print how the budget was kept; whether all that must hold does."""
    holds = True
    print("| scores | budget | evidence | rate over the budget | errors over the budget | of the oracle's labels |")
    print("|---|---|---|---|---|---|")
    for (kind, budget, size), tally in tallies.items():
        kept, usual, rounds = float(np.mean(tally.kept)), size == USUAL, len(tally.kept)
        holds &= not is_above(sum(tally.rate), rounds)
        holds &= not usual or (kept >= MINIMUM_KEPT and not is_above(sum(tally.counted), rounds))
        amount = f"**{size}**" if usual else f"{size}"
        print(f"| {kind} | {budget:.0%} | {amount} | {share(tally.rate)} | {share(tally.counted)} | {kept:.0%} |")
    return holds


def report_work(work: dict[tuple[str, float], list[Ways]]) -> None:
    """Print what people had to do."""
    print(
        f"\nPeople err on {ERRORS[0]:.2%} alone and on {ERRORS[1]:.2%} with {VOTES[1]:.2f} votes. All ways but "
        "the first are tuned to the final error by somebody who knows every error. reefloop pays for its evidence, "
        "honeypots and audit in full. What people label takes a vote at least, so at 5 % everyone ends "
        "better than asked.\n"
    )
    print("| scores | final error | way | human answers | of the first | errors over the budget |")
    print("|---|---|---|---|---|---|")
    for (kind, budget), rounds in work.items():
        means = np.mean([[answers for answers, _ in ways] for ways in rounds], axis=0)
        exceeded = np.mean([[over for _, over in ways] for ways in rounds], axis=0)
        for way, mean, over in zip(WAYS, means, exceeded, strict=True):
            print(f"| {kind} | {budget:.0%} | {way} | {mean:,.0f} | {mean / means[0]:.0%} | {over:.0%} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds, started = parser.parse_args().rounds, time.perf_counter()
    tallies = {(kind, b, n): Tally([], [], []) for kind in SHARPNESS for b in BUDGETS for n in EVIDENCE}
    work: dict[tuple[str, float], list[Ways]] = {(kind, b): [] for kind in SHARPNESS for b in BUDGETS}
    worlds = {kind: World.of(SEED, sharpness) for kind, sharpness in SHARPNESS.items()}
    for number, seed in enumerate(np.random.SeedSequence(SEED).spawn(rounds)):
        rng = np.random.default_rng(seed)
        (pool_logits, pool_chances), (logits, chances) = drawn(rng, OBJECTS), drawn(rng, EVIDENCE[-1])
        right, seen = rng.random(OBJECTS) < pool_chances, judged(rng, rng.random(EVIDENCE[-1]) < chances)
        for kind, budget in work:
            pool = Scores.of(pool_logits, right, SHARPNESS[kind])
            for size in EVIDENCE:
                known = Scores.of(logits[:size], seen[:size], SHARPNESS[kind])
                threshold = acceptance(known.confidence, known.correct.astype(bool), budget).threshold
                accepted, tally = pool.above(threshold), tallies[kind, budget, size]
                tally.rate.append(worlds[kind].error_rate(threshold) > budget)
                tally.counted.append(pool.errors(accepted) > budget * accepted)
                tally.kept.append(accepted / pool.oracle(budget))
                if size == USUAL:
                    work[kind, budget].append(shared(rng, pool, accepted, budget))
                    if number == 0:
                        check_route(pool, known, budget, accepted)
    claims = [f"{kind} ones claim {world.scores.confidence.mean():.1%}" for kind, world in worlds.items()]
    print(f"Scores of a model that is right on {np.mean(worlds[kind].scores.correct):.1%}: {', '.join(claims)}.\n")
    holds = report_budget(tallies)
    report_work(work)
    print(f"\n{rounds} rounds in {time.perf_counter() - started:.0f} s")
    if not holds:
        print("the routing does not hold what it must", file=sys.stderr)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
