"""What to work on next: avoidable bias, variance, or the evidence itself.

Avoidable bias is the training error above the human level, variance the validation error above the training error. The
larger of the two is where work pays most: A. Ng, "Machine Learning Yearning", 2018, chapters 20 to 24,
https://info.deeplearning.ai/machine-learning-yearning-book. Whether either is there at all, their intervals say.
"""

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
_USEFUL: Final = 1_000_000
"""More objects than this nobody labels to tell two rates apart."""


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
        return combination((1, self.train), (-1, self.human)) if self.human else None

    @property
    def variance(self) -> Difference:
        return combination((1, self.validation), (-1, self.train))

    def advice(self) -> list[str]:
        """Sentences, the most important one first."""
        details = {"bias": self._bias(), "variance": self._variance()}
        first, sentence = self._first()
        ordered = sorted(details, key=lambda name: name != first)
        return [sentence, *(details[name] for name in ordered), *self._test()]

    def _first(self) -> tuple[str, str]:
        """Which of the two matters more, and the sentence that says so."""
        bias, variance = self.bias, self.variance
        there = [name for name, part in (("bias", bias), ("variance", variance)) if part and part.sign > 0]
        if not there:
            return "bias", self._neither()
        if len(there) == 1 or self.human is None or bias is None:
            return there[0], f"Work on {_NAMES[there[0]]}: {_REMEDIES[there[0]]}."
        gap = combination((2, self.train), (-1, self.human), (-1, self.validation))
        larger = "bias" if gap.value >= 0 else "variance"
        if gap.sign == 0:
            return larger, (
                f"Both avoidable bias ({percent(bias.value)}) and variance ({percent(variance.value)}) are there, and "
                f"the data cannot tell which is larger. Begin with {_NAMES[larger]}: {_REMEDIES[larger]}."
            )
        return larger, f"Work on {_NAMES[larger]} first, it is surely the larger part: {_REMEDIES[larger]}."

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

    def _test(self) -> list[str]:
        """Choices that were made by the validation error make it too low; the test error is not touched by them."""
        if combination((1, self.test), (-1, self.validation)).sign <= 0:
            return []
        return [
            f"The test error of {percent(self.test.error)} is surely above the validation error of "
            f"{percent(self.validation.error)}: settings were chosen by the validation split, or the test split holds "
            "harder images. Believe the test error."
        ]


_NAMES: Final = {"bias": "avoidable bias", "variance": "variance"}
_REMEDIES: Final = {"bias": BIAS, "variance": VARIANCE}


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _ends(difference: Difference) -> str:
    return f"95 % interval {percent(difference.low)} to {percent(difference.high)}"


def _between(difference: Difference) -> str:
    return f"{percent(difference.value)} ({_ends(difference)})"


def _needed(difference: Difference, *parts: tuple[Rate, str]) -> str:
    """How many objects would tell: the widest of the intervals narrows with the root of their number."""
    rate, what = max(parts, key=lambda part: part[0].high - part[0].low)
    spread = max(rate.high - rate.error, rate.error - rate.low)
    needed = rate.objects * (spread / difference.value) ** 2
    if not rate.objects < needed <= _USEFUL:
        return ""
    digits = 1 - len(str(int(needed)))
    return f": about {round(needed, digits):.0f} {what} in place of {rate.objects} would tell"
