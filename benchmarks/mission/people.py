"""Five labelers, and how many answers a round needs of them."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product
from typing import Final

import numpy as np

CLASSES: Final = 10
OBJECTS: Final = 20_000
LABELERS: Final = (0.05, 0.05, 0.025, 0.025, 0.025)
"""Error rates; the last three are the experts. Everybody errs in a way of their own."""


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


VOTES: Final = (1.0, careful()[0])
ERRORS: Final = (float(np.mean(LABELERS)), careful()[1])
"""Of a label that one person gives, and of one that is taken care of."""


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
    for votes in np.linspace(*VOTES, 41):
        error = float(np.interp(votes, VOTES, ERRORS))
        surplus = errors + people * error - target * OBJECTS
        rate = errors / max(accepted, 1)
        again = 0.0 if surplus <= 0 else surplus / (rate - error) if rate > error else np.inf
        if again <= accepted:
            best = min(best, votes * (people + again + extra))
    return float(best)
