"""The human level: whoever errs least is found from raw answers, named, and measured within an honest interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.labeling.answers import Book
from jobs.labeling.gold_answers import FILE
from jobs.labeling.human_level import human_level
from jobs.labeling.intervals import wilson
from tests.unit.jobs.bench import BUCKET, Bucket, consolidate, write_lines
from tests.unit.jobs.images import CLASSES

NEW, EXPERIENCED, TOGETHER = 0.05, 0.025, 0.01
"""The errors of a newly trained person, of an experienced one, and of the experienced people as a team."""
ALIKE = 0.6
"""The probability that a person errs on an object that misleads people."""


def majority(error: float) -> float:
    return 3 * error**2 * (1 - error) + error**3


def misleading_share() -> float:
    """The share of objects that mislead, so that three people who err at EXPERIENCED each err at TOGETHER together."""
    low, high = 0.0, EXPERIENCED / ALIKE
    for _ in range(60):
        share = (low + high) / 2
        lapse = (EXPERIENCED - share * ALIKE) / (1 - share)
        together = share * majority(ALIKE) + (1 - share) * majority(lapse)
        low, high = (share, high) if together < TOGETHER else (low, share)
    return low


@dataclass(frozen=True)
class Crew:
    """People who err at these rates: on misleading objects all alike, naming the same wrong class, elsewhere alone."""

    errors: dict[str, float]
    seed: int

    def answers(self, truth: Sequence[int], classes: int) -> dict[str, np.ndarray]:
        """Each person's class of each object."""
        rng = np.random.default_rng(self.seed)
        share, known = misleading_share(), np.array(truth)
        misleads = rng.random(len(known)) < share
        mistaken = (known + rng.integers(1, classes, len(known))) % classes
        found = {}
        for person, error in self.errors.items():
            lapse = (error - share * ALIKE) / (1 - share)
            errs = rng.random(len(known)) < np.where(misleads, ALIKE, lapse)
            found[person] = np.where(errs, mistaken, known)
        return found


def report(bucket: Bucket, root: Path, crew: Crew, experts: set[str], *, gold: int) -> dict[str, Any]:
    """The report on a round in which these people answered a few images, after rounds in which they answered gold."""
    pool = [{"source-ref": f"{BUCKET}images/{n}.jpg", "content": f"c-{n}"} for n in range(60)]
    known = [{"source-ref": f"{BUCKET}gold/{n}.jpg", "content": f"gold-{n}"} for n in range(gold)]
    truth = [n % len(CLASSES) for n in range(len(pool) + gold)]
    bucket.truth |= {line["source-ref"]: CLASSES[truth[n]] for n, line in enumerate([*pool, *known])}
    bucket.put_gold(known)
    answers = crew.answers(truth, len(CLASSES))
    folder = bucket.round("r9")
    write_lines(folder / "pool.manifest", pool)
    for name, lines in {"machine": [], "audit": [], "human": pool}.items():
        write_lines(folder / "routing" / "algo-1" / f"{name}.manifest", lines)
    (folder / "routing" / "algo-1" / "routing.json").write_text('{"hosts": 1, "unreadable": []}')
    for team, people in {"labelers": set(crew.errors) - experts, "experts": experts}.items():
        said = {line["source-ref"]: {who: CLASSES[answers[who][n]] for who in people} for n, line in enumerate(pool)}
        bucket.answer("r9", said, f"job-{team}", team=team)
    write_lines(
        bucket.dataset("r8") / FILE,
        [
            {**line, "round": "r8", "team": "labelers", "worker": who, "label": CLASSES[said[len(pool) + n]]}
            for n, line in enumerate(known)
            for who, said in answers.items()
        ],
    )
    assert consolidate(bucket, root, "r9", previous="r8") == 0, (root / "output" / "message").read_text()
    found: dict[str, Any] = bucket.found("r9", "human-level")
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("good", ["experts", "labelers"])
def test_the_team_that_errs_at_one_percent_is_found_and_named_whichever_it_is(
    bucket: Bucket, tmp_path: Path, good: str, seed: int
) -> None:
    names = dict(zip(("ada", "bo", "cleo", "dan", "eve"), np.random.default_rng(seed).permutation(5), strict=True))
    experienced = {who for who, place in names.items() if place < 3}
    crew = Crew({who: EXPERIENCED if who in experienced else NEW for who in names}, seed)
    experts = experienced if good == "experts" else set(names) - experienced
    level = report(bucket, tmp_path / "ml", crew, experts, gold=2500)

    assert (level["who"], level["kind"], set(level["members"])) == (f"team of {good}", "team", experienced)
    assert level["low"] <= TOGETHER <= level["high"] <= level["supported"] < EXPERIENCED
    by_name = {one["who"]: one for one in level["candidates"]}
    for who in names:
        one = by_name[f"worker {who}"]
        # Seven intervals of 95 % each: a little wider, all of them hold.
        assert one["low"] - 0.006 <= crew.errors[who] <= one["high"] + 0.006
    poor = "labelers" if good == "experts" else "experts"
    assert by_name[f"{good}, each alone"]["error"] == pytest.approx(EXPERIENCED, abs=0.008)
    assert by_name[f"{poor}, each alone"]["error"] == pytest.approx(NEW, abs=0.01)
    assert level["error"] == by_name[f"team of {good}"]["error"] < by_name[f"{good}, each alone"]["error"]


def judged(errors: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The report on people with (errors, gold objects) who never answered the same object."""
    book, right, item = Book(), [], 0
    for who, (wrong, objects) in errors.items():
        for number in range(objects):
            book.add(item, who, 0, by_experts=False)
            right.append(number >= wrong)
            item += 1
    nobody = np.zeros(len(errors), np.bool_)
    none = (np.zeros(0, np.intp), np.zeros(0, np.bool_))
    return human_level(book.closed(), np.array(right), experts=nobody, dropped=nobody, blind=lambda _: none)


def test_no_error_in_five_objects_proves_less_than_one_in_two_hundred() -> None:
    level = judged({"lucky": (0, 5), "proven": (1, 200), "poor": (40, 200)})
    assert (level["who"], level["error"]) == ("worker proven", 1 / 200)


def test_the_lowest_of_many_measured_errors_is_not_taken_for_the_human_level() -> None:
    # Forty people of one skill, measured on few objects: the best of them are lucky.
    rng, too_low = np.random.default_rng(3), 0
    for _ in range(60):
        level = judged({f"w{number:02}": (int(rng.binomial(60, 0.1)), 60) for number in range(40)})
        assert min(one["error"] for one in level["candidates"]) <= 0.05
        too_low += level["supported"] < 0.1
    # By construction one in twenty at most; seven in sixty would be less likely than 5 %.
    assert too_low < 7


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1))
def test_every_candidate_has_the_wilson_interval_of_what_was_counted(errors: dict[str, tuple[int, int]]) -> None:
    counted = {who: (min(wrong, objects), objects) for who, (wrong, objects) in errors.items()}
    level = judged(counted)
    found = {one["who"]: one for one in level["candidates"]}
    for who, (wrong, objects) in counted.items():
        one = found[f"worker {who}"]
        assert (one["gold_errors"], one["gold_objects"], one["error"]) == (wrong, objects, wrong / objects)
        assert (one["low"], one["high"]) == pytest.approx(wilson(wrong, objects))
    assert level["who"] in found


def test_answers_of_many_people_to_the_same_few_objects_are_no_independent_evidence() -> None:
    book, right = Book(), []
    for item in range(40):
        for person in range(9):
            book.add(item, f"w{person}", 0, by_experts=False)
            # All err on the same four objects.
            right.append(item >= 4)
    nobody = np.zeros(9, np.bool_)
    none = (np.zeros(0, np.intp), np.zeros(0, np.bool_))
    level = human_level(book.closed(), np.array(right), experts=nobody, dropped=nobody, blind=lambda _: none)
    tier = next(one for one in level["candidates"] if one["kind"] == "tier")
    assert (tier["gold_answers"], tier["gold_objects"], tier["error"]) == (360, 40, 0.1)
    assert (tier["low"], tier["high"]) == pytest.approx(wilson(4, 40), abs=1e-9)


def test_nothing_is_known_of_people_who_answered_no_gold() -> None:
    level = judged({})
    assert (level["error"], level["who"], level["candidates"]) == (None, None, [])
