"""Bounds of error rates agree with what SciPy computes in other ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from jobs.labeling.intervals import clopper_pearson_lower, clopper_pearson_upper, evidence_needed, wilson

counts = st.integers(1, 3000).flatmap(lambda objects: st.tuples(st.integers(0, objects), st.just(objects)))


@given(counts)
def test_the_upper_bound_is_the_rate_at_which_so_few_errors_have_the_probability_of_five_percent(
    counted: tuple[int, int],
) -> None:
    errors, objects = counted
    bound = clopper_pearson_upper(errors, objects)
    if errors == objects:
        assert bound == 1
    else:
        assert binom.cdf(errors, objects, bound) == pytest.approx(0.05, abs=1e-9)


@given(counts)
def test_the_wilson_interval_is_scipys(counted: tuple[int, int]) -> None:
    errors, objects = counted
    expected = binomtest(errors, objects).proportion_ci(0.95, method="wilson")
    assert wilson(errors, objects) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(counts)
def test_the_lower_bound_of_errors_is_the_upper_bound_of_what_is_right(counted: tuple[int, int]) -> None:
    errors, objects = counted
    assert clopper_pearson_lower(errors, objects) == pytest.approx(
        1 - clopper_pearson_upper(objects - errors, objects), abs=1e-9
    )


def test_nothing_is_known_from_no_objects() -> None:
    assert wilson(0, 0) == (0, 1)
    assert clopper_pearson_upper(0, 0) == 1
    assert clopper_pearson_lower(0, 0) == 0


@pytest.mark.parametrize(("budget", "needed"), [(0.01, 299), (0.02, 149), (0.05, 59)])
def test_a_budget_needs_this_many_objects_without_an_error_and_not_one_less(budget: float, needed: int) -> None:
    assert evidence_needed(budget) == needed
    assert clopper_pearson_upper(0, needed) <= budget < clopper_pearson_upper(0, needed - 1)


@given(st.sampled_from([0.01, 0.05, 0.3]), st.integers(0, 6))
def test_errors_need_more_objects_and_not_one_more_than_that(budget: float, errors: int) -> None:
    needed = evidence_needed(budget, errors)
    assert clopper_pearson_upper(errors, needed) <= budget < clopper_pearson_upper(errors, needed - 1)
