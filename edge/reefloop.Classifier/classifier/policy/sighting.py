"""What the policy is told of one frame."""

from dataclasses import dataclass
from typing import Final

LONGEST_LABEL: Final = 128
"""Characters, in messages."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the model said of the frame that the source got at `at`, in seconds of the clock's `elapsed`."""

    at: float
    label: str
    """The likeliest."""
    probability: float
    margin: float
    """How much less likely the second label is."""
    entropy: float
    """Of all labels, as a share of the largest that there can be."""
    unsure: bool
    """The probability is below the model's own bound."""
    unknown: bool
    """Like nothing that the model was trained on: `label` means nothing, and no species is counted."""
