"""Error rates with their 95 % intervals, and what differences between them can be told."""

import math
from dataclasses import dataclass
from typing import Any, Self

from jobs.labeling.intervals import clopper_pearson_lower, clopper_pearson_upper

_ONE_SIDED = 0.975
"""Of each end of a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Rate:
    """A share of errors that was counted on `objects`, and the 95 % interval of the rate behind it."""

    error: float
    low: float
    high: float
    objects: int
    who: str | None = None

    @classmethod
    def counted(cls, errors: int, objects: int) -> Self:
        """With the exact interval: C. J. Clopper and E. S. Pearson, 1934, https://doi.org/10.1093/biomet/26.4.404."""
        low, high = interval(errors, objects)
        return cls(errors / objects, low, high, objects)

    @classmethod
    def of_people(cls, level: dict[str, Any] | None) -> Self | None:
        """The human level of a dataset's card; None as long as nobody knows it.

        Its interval allows for answers that are not independent, so it is taken as it was measured.
        """
        if not level or level.get("error") is None:
            return None
        objects = int(level.get("gold_objects") or 0)
        error = float(level["error"])
        # A level from elsewhere may come as a number alone: nothing is known of its evidence then.
        low, high = float(level.get("low", 0.0)), float(level.get("high", 1.0))
        return cls(error, low, high, objects, str(level.get("who") or "people"))

    def described(self) -> dict[str, Any]:
        plain = {"error": self.error, "low": self.low, "high": self.high, "objects": self.objects}
        return plain if self.who is None else {**plain, "who": self.who}


@dataclass(frozen=True)
class Difference:
    """A difference of rates with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 when it is surely above 0, -1 when surely below, 0 when the data cannot tell."""
        return (self.low > 0) - (self.high < 0)

    def described(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def accuracy(error: float, objects: int) -> float:
    """The share that was right, as counting gives it: 1 - error can miss 0.93 by a rounding, and a minimum with it."""
    return (objects - round(error * objects)) / objects


def interval(count: int, objects: int) -> tuple[float, float]:
    """The exact two-sided 95 % interval of a share of which `count` were counted; (0, 1) for no objects."""
    if objects == 0:
        return 0.0, 1.0
    return clopper_pearson_lower(count, objects, _ONE_SIDED), clopper_pearson_upper(count, objects, _ONE_SIDED)


def combination(*parts: tuple[float, Rate]) -> Difference:
    """sum c_i r_i of independent rates, with the interval that their own intervals give it.

        low = sum c_i r_i - sqrt(sum (c_i r_i - min(c_i low_i, c_i high_i))^2), and high likewise

    R. G. Newcombe, 1998, method 10, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
    for any intervals and sums by G. Y. Zou and A. Donner, 2008, https://doi.org/10.1002/sim.3095.
    """
    value = sum(factor * rate.error for factor, rate in parts)
    ends = [(factor, sorted((factor * rate.low, factor * rate.high)), rate.error) for factor, rate in parts]
    below = math.sqrt(sum((factor * error - low) ** 2 for factor, (low, _), error in ends))
    above = math.sqrt(sum((high - factor * error) ** 2 for factor, (_, high), error in ends))
    return Difference(value, value - below, value + above)
