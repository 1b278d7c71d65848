"""How far a share of errors that was counted on few objects can be trusted."""

import math
from bisect import bisect_left
from typing import Final

from scipy.special import betaincinv

CONFIDENCE: Final = 0.95
_NORMAL_QUANTILE: Final = 1.959963984540054  # of 0.975: a two-sided interval of 95 %


def wilson(errors: float, objects: float) -> tuple[float, float]:
    """The two-sided 95 % interval of an error rate: E. B. Wilson, 1927, https://doi.org/10.1080/01621459.1927.10502953.

        (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)

    Unlike p -+ z sqrt(p(1-p)/n) it does not shrink to nothing when no error was seen. (0, 1) for no objects. Expected
    numbers and effective sample sizes may be fractions.
    """
    if objects <= 0:
        return 0.0, 1.0
    rate, z2 = min(1.0, errors / objects), _NORMAL_QUANTILE**2
    centre = rate + z2 / (2 * objects)
    margin = _NORMAL_QUANTILE * math.sqrt(rate * (1 - rate) / objects + z2 / (4 * objects**2))
    scale = 1 + z2 / objects
    low, high = (centre - margin) / scale, (centre + margin) / scale
    # Exact where rounding would leave a trace.
    return (low if errors else 0.0), (high if errors < objects else 1.0)


def clopper_pearson_upper(errors: int, objects: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided upper bound of an error rate.

    The largest rate p under which `errors` or fewer would still be seen with probability 1 - confidence:
    C. J. Clopper and E. S. Pearson, 1934, https://doi.org/10.1093/biomet/26.4.404. 1.0 for no objects.
    """
    if errors >= objects:
        return 1.0
    return float(betaincinv(errors + 1, objects - errors, confidence))


def clopper_pearson_lower(errors: int, objects: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided lower bound of an error rate: the smallest under which so many errors are no wonder."""
    if errors == 0:
        return 0.0
    return float(betaincinv(errors, objects - errors + 1, 1 - confidence))


def evidence_needed(budget: float, errors: int = 0, confidence: float = CONFIDENCE) -> int:
    """The fewest objects among which this many errors still bound the error rate by `budget`.

    Without an error 299 for 1 %, 149 for 2 %, 59 for 5 %: the smallest n with (1 - budget)^n <= 1 - confidence.
    """
    if errors == 0:
        return math.ceil(math.log(1 - confidence) / math.log(1 - budget))
    too_few, enough = evidence_needed(budget, errors - 1, confidence), 1
    while clopper_pearson_upper(errors, too_few + enough, confidence) > budget:
        enough *= 2
    candidates = range(too_few, too_few + enough + 1)
    return candidates[
        bisect_left(candidates, True, key=lambda n: clopper_pearson_upper(errors, n, confidence) <= budget)
    ]
