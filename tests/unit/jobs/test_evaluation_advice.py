"""Avoidable bias and variance, what can be told of them, and the advice that follows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.evaluation.advice import Findings
from jobs.evaluation.rates import Difference, Rate, combination, interval
from jobs.labeling.intervals import wilson

COUNTS = st.integers(1, 5000).flatmap(lambda objects: st.tuples(st.integers(0, objects), st.just(objects)))
RATES = COUNTS.map(lambda counts: Rate.counted(*counts))


def people(errors: int, objects: int, who: str = "team of experts") -> Rate:
    low, high = wilson(errors, objects)
    return Rate(errors / objects, low, high, objects, who)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    # R. G. Newcombe, 1998, table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339.
    found = combination((1, people(56, 70)), (-1, people(48, 80)))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@given(RATES, RATES)
def test_an_interval_holds_its_value_and_turns_around_with_it(one: Rate, other: Rate) -> None:
    found, turned = combination((1, one), (-1, other)), combination((1, other), (-1, one))
    assert found.low <= found.value <= found.high
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))


@given(COUNTS, st.integers(2, 20))
def test_more_objects_narrow_an_interval(counts: tuple[int, int], more: int) -> None:
    errors, objects = counts
    wide, narrow = interval(errors, objects), interval(more * errors, more * objects)
    assert wide[0] <= narrow[0] <= errors / objects <= narrow[1] <= wide[1]


@pytest.mark.parametrize(
    ("errors", "objects", "low", "high"),
    # https://doi.org/10.1093/biomet/26.4.404, as any table of the exact interval has them.
    [(0, 10, 0, 0.3085), (1, 10, 0.0025, 0.4450), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1), (0, 0, 0, 1)],
)
def test_the_interval_of_a_count_is_the_exact_one(errors: int, objects: int, low: float, high: float) -> None:
    assert interval(errors, objects) == pytest.approx((low, high), abs=5e-5)


EXPERTS = people(6, 600)
"""The best that people can do, 1 %."""


def findings(
    *,
    human: Rate | None = EXPERTS,
    train: tuple[int, int],
    validation: tuple[int, int],
    test: tuple[int, int] | None = None,
) -> Findings:
    """Errors and objects of each split."""
    return Findings(human, *(Rate.counted(*counts) for counts in (train, validation, test or validation)))


BIAS, VARIANCE = "use a bigger network (training.network)", "label more images"
FIRST = {
    "bias alone": (findings(train=(400, 5000), validation=(85, 1000)), "Work on avoidable bias: " + BIAS),
    "variance alone": (findings(train=(55, 5000), validation=(110, 1000)), "Work on variance: " + VARIANCE),
    "bias above variance": (
        findings(train=(500, 5000), validation=(130, 1000)),
        "Work on avoidable bias first, it is surely the largest part: " + BIAS,
    ),
    "variance above bias": (
        findings(train=(150, 5000), validation=(130, 1000)),
        "Work on variance first, it is surely the largest part: " + VARIANCE,
    ),
    "nobody can tell which": (
        findings(train=(300, 5000), validation=(110, 1000)),
        "Both avoidable bias (5.00 %) and variance (5.00 %) are there, and the data cannot tell which is larger.",
    ),
    "as good as people": (
        findings(train=(50, 5000), validation=(10, 1000)),
        "Neither avoidable bias (at most 0.63 %) nor variance (at most 0.87 %) can be told from zero. To change",
    ),
    "a test split of another kind": (
        findings(train=(60, 5000), validation=(30, 1000), test=(230, 1000)),
        "Work on what sets test apart from validation first, it is surely the largest part: look at the worst",
    ),
    "a test split of another kind, nothing else": (
        findings(train=(0, 416), validation=(2, 144), test=(52, 224)),
        "Work on what sets test apart from validation: look at the worst mistakes, and label more images of that kind",
    ),
    "bias above a harder test": (
        findings(train=(500, 5000), validation=(95, 1000), test=(140, 1000)),
        "Work on avoidable bias first, it is surely the largest part: " + BIAS,
    ),
    "few objects": (
        findings(human=people(0, 20), train=(3, 60), validation=(2, 18)),
        "Neither avoidable bias (at most 13.92 %) nor variance (at most 30.04 %) can be told from zero. To change",
    ),
    "no people, nothing to tell": (
        findings(human=None, train=(10, 1000), validation=(11, 1000)),
        "The human level is not known, and variance (at most 1.10 %) cannot be told from zero. To change the model",
    ),
    "no people, variance": (
        findings(human=None, train=(10, 1000), validation=(100, 1000)),
        "Work on variance: " + VARIANCE,
    ),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_sentence_says_what_to_work_on(name: str) -> None:
    found, sentence = FIRST[name]
    assert found.advice()[0].startswith(sentence)


def test_bias_is_measured_against_the_best_people_and_not_against_the_average_one() -> None:
    # A new worker errs in 5 %, an experienced one in 2.5 %, the team of experienced ones in 1 %.
    found = findings(train=(250, 5000), validation=(52, 1000))
    assert found.bias
    assert found.bias.value == pytest.approx(0.04)
    assert found.bias.sign == 1
    assert "Avoidable bias 4.00 % (95 % interval " in found.advice()[1]
    assert "people (team of experts) in 1.00 %" in found.advice()[1]
    average = findings(human=people(50, 1000, "labelers, each alone"), train=(250, 5000), validation=(52, 1000))
    assert average.bias
    assert average.bias.sign == 0


def sentence(found: Findings, start: str) -> str:
    [matching] = [one for one in found.advice() if one.startswith(start)]
    return matching


def test_what_cannot_be_told_comes_with_the_number_of_objects_that_would_tell() -> None:
    found = findings(human=people(1, 100), train=(100, 5000), validation=(100, 5000))
    said = sentence(found, "Avoidable bias of 1.00 % cannot be told from none")
    assert "about 3000 gold objects in place of 100 would tell" in said
    enough = findings(human=people(20, 2000), train=(100, 5000), validation=(100, 5000))
    assert enough.bias
    assert enough.bias.sign == 1


@given(st.integers(1, 60), st.sampled_from([50, 200, 1000]), st.integers(0, 5), st.sampled_from([10, 300, 5000]))
def test_the_number_of_objects_that_would_tell_does_tell(
    errors: int, objects: int, train_errors: int, train_objects: int
) -> None:
    rates = {
        "validation": Rate.counted(min(errors, objects), objects),
        "training": Rate.counted(min(train_errors, train_objects), train_objects),
    }
    said = [one for one in with_rates(rates).advice() if "would tell" in one]
    if not said:
        return
    needed, kind, had = re.findall(r"about (\d+) (\w+) objects in place of (\d+) would", said[0])[0]
    assert int(needed) > int(had)
    error = rates[kind].error
    rates[kind] = Rate.counted(round(error * int(needed)), int(needed))
    # As near as counting whole errors can come to the rate that was seen.
    assert with_rates(rates).variance.low > -1 / int(needed)


def with_rates(rates: dict[str, Rate]) -> Findings:
    return Findings(None, rates["training"], rates["validation"], rates["validation"])


def test_below_the_human_level_people_no_longer_bound_what_is_possible() -> None:
    found = findings(human=people(50, 1000), train=(100, 5000), validation=(25, 1000))
    assert "people no longer bound what is possible" in sentence(found, "The training error of 2.00 % is surely below")


def test_at_the_human_level_no_bias_is_seen_and_nothing_is_claimed() -> None:
    found = findings(train=(45, 5000), validation=(100, 1000))
    assert "Whether it is below cannot be told" in sentence(found, "No avoidable bias is seen")


def test_without_a_human_level_it_says_how_to_get_one() -> None:
    found = findings(human=None, train=(10, 1000), validation=(100, 1000))
    assert found.bias is None
    assert "Put objects of known class into gold/" in sentence(found, "The human level is not known")


def test_a_validation_split_easier_than_training_is_suspicious() -> None:
    found = findings(train=(500, 5000), validation=(20, 1000))
    assert "the splits hold different kinds of images" in sentence(
        found, "The validation error of 2.00 % is surely below"
    )


def test_a_test_error_above_validation_says_which_to_believe() -> None:
    found = findings(train=(50, 5000), validation=(20, 1000), test=(80, 1000))
    assert sentence(found, "The test error of 8.00 % is surely above").endswith("Believe the test error.")
    assert not [one for one in findings(train=(50, 5000), validation=(20, 1000)).advice() if "Believe" in one]


@given(human=st.none() | RATES, train=RATES, validation=RATES, test=RATES)
def test_any_four_errors_get_advice_in_whole_sentences(
    human: Rate | None, train: Rate, validation: Rate, test: Rate
) -> None:
    found = Findings(human and Rate(human.error, human.low, human.high, human.objects, "team"), train, validation, test)
    advice = found.advice()
    assert 3 <= len(advice) <= 4
    assert all(one[0].isupper() and one.endswith(".") and "nan" not in one for one in advice)
    claim = advice[0].partition(":")[0].partition("Begin")[0]
    if claim.startswith(("Work on", "Both")):
        steps = {"avoidable bias": found.bias, "variance": found.variance, "apart from validation": found.shift}
        claimed = [step for name, step in steps.items() if name in claim]
        assert claimed
        assert all(step and step.low > 0 for step in claimed)


@pytest.mark.parametrize(
    "level", [None, {}, {"error": None, "who": None, "reason": "no gold object was answered", "candidates": []}]
)
def test_a_card_without_a_human_level_has_none(level: dict[str, object] | None) -> None:
    assert Rate.of_people(level) is None


def test_a_level_that_is_a_number_alone_proves_nothing() -> None:
    found = Rate.of_people({"error": 0.01})
    assert found == Rate(0.01, 0.0, 1.0, 0, "people")
    assert combination((1, Rate.counted(50, 1000)), (-1, found)).sign == 0


def test_the_sign_is_that_of_what_is_sure() -> None:
    assert [Difference(0, *ends).sign for ends in ((0.1, 0.2), (-0.1, 0.2), (-0.2, -0.1), (0, 0))] == [1, 0, -1, 0]
