"""kill -9 at random moments, in small; `python benchmarks/power_cuts.py` does it 500 times."""

import pytest

from benchmarks import power_cuts


@pytest.mark.parametrize(("lite", "whole"), [(True, False), (False, True)], ids=["lite", "classic, whole"])
def test_every_record_is_in_the_cloud_once_and_in_order_however_often_the_power_fails(lite: bool, whole: bool) -> None:
    figures = power_cuts.run(lite=lite, whole=whole, kills=8, seed=7)
    assert figures.good, figures
    assert figures.nucleus_kills == 4
