"""What a comparison found of a compiled model: its figures, and whether they are good enough."""

from collections.abc import Mapping
from typing import Any, Final, cast

from reefloop.payloads import Parity

_ROUNDING: Final = 1e-9
"""0.93 - 0.92 is more than 0.01 in binary."""


def of(comparison: Mapping[str, Any]) -> Parity:
    """The figures in the comparison.json of a model that loads."""
    return cast("Parity", {name: comparison[name] for name in Parity.__annotations__})


def loss(figures: Parity, allowed: float) -> str:
    """What the compiled model is worse at than its source, by more than is allowed; "" when it is as good.

    Devices refuse a model with another label, or with a logit that is too far off, on a golden image, whatever is
    allowed.

    Args:
        allowed: share of the test split that it may lose.
    """
    if figures["golden_agreement"] < 1:
        wrong = round((1 - figures["golden_agreement"]) * figures["golden"])
        return (
            f"the compiled model gives {wrong} of {figures['golden']} golden images another label than its source; "
            f"a logit differs by {figures['difference']:.3g}"
        )
    if figures["golden_deviation"] > 1:
        return (
            f"a logit of a golden image is {figures['golden_deviation']:.3g} times as far off as devices allow: none "
            "of them would serve the compiled model"
        )
    accuracy, source = figures["accuracy"], figures["source_accuracy"]
    if accuracy is None or source is None or source - accuracy <= allowed + _ROUNDING:
        return ""
    return (
        f"the compiled model is right on {accuracy:.2%} of {figures['objects']} test objects and its source on "
        f"{source:.2%}; compilation.max_accuracy_loss allows to lose {allowed:.2%}"
    )
