"""What to work on next: avoidable bias, variance, or the evidence itself.

Avoidable bias is the training error above the human level, variance the validation error above the training error, and
a test error above the validation error says that the splits differ. Work pays most where the step is largest: A. Ng,
"Machine Learning Yearning", 2018, chapters 20 to 24, https://info.deeplearning.ai/machine-learning-yearning-book.
Whether a step is there at all, its interval says.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobs.evaluation.rates import Difference, Rate, combination

BIAS: Final = (
    "use a bigger network (training.network), train longer (training.epochs), see more detail (training.image_pixels), "
    "or begin with pretrained weights (jobs.pretrained)"
)
VARIANCE: Final = (
    "label more images, above all of the classes with the lowest recall, or regularise more (training.weight_decay, "
    "training.label_smoothing)"
)
SHIFT: Final = "look at the worst mistakes, and label more images of that kind, so that every split gets some"
_USEFUL: Final = 1_000_000
"""More objects than this nobody labels to tell two rates apart."""

_NAMES: Final = {"bias": "avoidable bias", "variance": "variance", "shift": "what sets test apart from validation"}
_REMEDIES: Final = {"bias": BIAS, "variance": VARIANCE, "shift": SHIFT}
_STEPS: Final[Mapping[str, Mapping[str, int]]] = {
    "bias": {"train": 1, "human": -1},
    "variance": {"validation": 1, "train": -1},
    "shift": {"test": 1, "validation": -1},
}


@dataclass(frozen=True)
class Findings:
    """What the four errors say together."""

    human: Rate | None
    train: Rate
    validation: Rate
    test: Rate

    @property
    def bias(self) -> Difference | None:
        """None as long as the human level is not known."""
        return self._difference(_STEPS["bias"]) if self.human else None

    @property
    def variance(self) -> Difference:
        return self._difference(_STEPS["variance"])

    @property
    def shift(self) -> Difference:
        """How much harder the test split is than the validation split; not at all where both are alike."""
        return self._difference(_STEPS["shift"])

    def _difference(self, factors: Mapping[str, int]) -> Difference:
        return combination(*((factor, getattr(self, name)) for name, factor in factors.items()))

    def advice(self) -> list[str]:
        """Sentences, the most important one first."""
        details = {"bias": self._bias(), "variance": self._variance()}
        if self.shift.sign > 0:
            details["shift"] = self._shift()
        first, sentence = self._first()
        return [sentence, *(details[name] for name in sorted(details, key=lambda name: name != first))]

    def _first(self) -> tuple[str, str]:
        """Which of the steps from people to the test split matters most, and the sentence that says so."""
        found = {"bias": self.bias, "variance": self.variance, "shift": self.shift}
        sure = {name: step for name, step in found.items() if step and step.sign > 0}
        if not sure:
            return "bias", self._neither()
        largest, *others = sorted(sure, key=lambda name: -round(sure[name].value, 9))
        if not others:
            return largest, f"Work on {_NAMES[largest]}: {_REMEDIES[largest]}."
        gap = Counter(_STEPS[largest])
        gap.subtract(_STEPS[others[0]])
        if self._difference(gap).sign > 0:
            return largest, f"Work on {_NAMES[largest]} first, it is surely the largest part: {_REMEDIES[largest]}."
        one, other = (f"{_NAMES[name]} ({percent(sure[name].value)})" for name in (largest, others[0]))
        return largest, (
            f"Both {one} and {other} are there, and the data cannot tell which is larger. "
            f"Begin with {_NAMES[largest]}: {_REMEDIES[largest]}."
        )

    def _neither(self) -> str:
        variance = f"variance (at most {percent(max(0.0, self.variance.high))})"
        if self.bias is None:
            found = f"The human level is not known, and {variance} cannot be told from zero."
        else:
            bias = f"avoidable bias (at most {percent(max(0.0, self.bias.high))})"
            found = f"Neither {bias} nor {variance} can be told from zero."
        return (
            f"{found} To change the model on these figures is guesswork: get more evidence first (more gold for the "
            "human level, more validation and test objects)."
        )

    def _bias(self) -> str:
        human, bias = self.human, self.bias
        if human is None or bias is None:
            return (
                "The human level is not known, so nobody can say how much of the training error of "
                f"{percent(self.train.error)} is avoidable. Put objects of known class into gold/ and let people label "
                "some in each round (labeling.baseline_objects)."
            )
        if bias.sign > 0:
            return (
                f"Avoidable bias {_between(bias)}: the model errs in {percent(self.train.error)} of what it was "
                f"trained on, people ({human.who}) in {percent(human.error)}."
            )
        if bias.sign < 0:
            return (
                f"The training error of {percent(self.train.error)} is surely below the human level of "
                f"{percent(human.error)} ({human.who}): people no longer bound what is possible. Judge "
                "it on test objects whose class is known for sure, or on labels by a better team."
            )
        if bias.value <= 0:
            return (
                f"No avoidable bias is seen: the training error of {percent(self.train.error)} is not above the human "
                f"level of {percent(human.error)} ({human.who}). Whether it is below cannot be told ({_ends(bias)})."
            )
        return (
            f"Avoidable bias of {percent(bias.value)} cannot be told from none ({_ends(bias)})"
            f"{_needed(bias, (human, 'gold objects'), (self.train, 'training objects'))}."
        )

    def _variance(self) -> str:
        variance = self.variance
        if variance.sign > 0:
            return (
                f"Variance {_between(variance)}: the model errs in {percent(self.validation.error)} of new objects, in "
                f"{percent(self.train.error)} of those it was trained on."
            )
        if variance.sign < 0:
            return (
                f"The validation error of {percent(self.validation.error)} is surely below the training error of "
                f"{percent(self.train.error)}: the splits hold different kinds of images, or wrong labels in train. "
                "Look at the dataset's card before you trust either."
            )
        if variance.value <= 0:
            return (
                f"No variance is seen: the validation error of {percent(self.validation.error)} is not above the "
                f"training error of {percent(self.train.error)} ({_ends(variance)})."
            )
        return (
            f"Variance of {percent(variance.value)} cannot be told from none ({_ends(variance)})"
            f"{_needed(variance, (self.validation, 'validation objects'), (self.train, 'training objects'))}."
        )

    def _shift(self) -> str:
        return (
            f"The test error of {percent(self.test.error)} is surely above the validation error of "
            f"{percent(self.validation.error)}: the test split holds images that the others lack, or settings were "
            "chosen by the validation split. Believe the test error."
        )


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _ends(difference: Difference) -> str:
    return f"95 % interval {percent(difference.low)} to {percent(difference.high)}"


def _between(difference: Difference) -> str:
    return f"{percent(difference.value)} ({_ends(difference)})"


def _needed(difference: Difference, *parts: tuple[Rate, str]) -> str:
    """How many more objects of one kind would tell; nothing where no number of them would.

    The widest of the intervals narrows with the root of their number, the others stay and leave it less room.
    """
    (rate, what), *others = sorted(parts, key=lambda part: -_spread(part[0]))
    room = difference.value**2 - sum(_spread(other) ** 2 for other, _ in others)
    if room <= 0:
        return ""
    needed = rate.objects * _spread(rate) ** 2 / room
    if not rate.objects < needed <= _USEFUL:
        return ""
    step = 10 ** (len(str(int(needed))) - 1)
    return f": about {math.ceil(needed / step) * step} {what} in place of {rate.objects} would tell"


def _spread(rate: Rate) -> float:
    return max(rate.high - rate.error, rate.error - rate.low)
