"""The knobs of a training, which SageMaker hands over as strings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from jobs.errors import JobError
from jobs.paths import read_json

REQUIRED: Final = ("model_version", "dataset_version")


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words that complete the sentence "it must be ..."."""

    words: str
    fits: Callable[[Any], bool]


def _range(low: float, high: float, words: str = "") -> Rule:
    return Rule(words or f"{low:,} to {high:,}", lambda value: low <= value <= high)


def _one_of(*allowed: str) -> Rule:
    return Rule(f"one of {', '.join(allowed)}", lambda value: value in allowed)


_SHARE: Final = Rule("at least 0 and below 1", lambda value: 0 <= value < 1)
RULES: Final[Mapping[str, Rule]] = {
    "normalization": _one_of("batch", "group"),
    "image_pixels": Rule("a multiple of 32, 32 to 1024", lambda value: 32 <= value <= 1024 and value % 32 == 0),
    "epochs": _range(1, 10_000),
    "batch_size": _range(2, 65_536),
    "accumulation": _range(1, 1024),
    "learning_rate": Rule("above 0, at most 10", lambda value: 0 < value <= 10),
    "weight_decay": _SHARE,
    "warm_up_share": _SHARE,
    "label_smoothing": _SHARE,
    "class_weights": _one_of("none", "balanced"),
    "precision": _one_of("auto", "float32", "bfloat16", "float16"),
    "seed": _range(0, 2**63 - 1, "0 or more and below 2 to the power of 63"),
    "unreadable_share": _SHARE,
}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What settings.training says of the training itself; the settings explain each."""

    model_version: str
    dataset_version: str
    label_attribute: str = "species"
    network: str = "reef"
    pretrained: bool = False
    normalization: str = "batch"
    image_pixels: int = 224
    epochs: int = 60
    batch_size: int = 64
    accumulation: int = 1
    learning_rate: float = 0.002
    weight_decay: float = 0.05
    warm_up_share: float = 0.15
    label_smoothing: float = 0.1
    class_weights: str = "none"
    precision: str = "auto"
    deterministic: bool = False
    seed: int = 1
    unreadable_share: float = 0.01

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        Raises:
            JobError: naming the hyperparameter, its value and what is allowed.
        """
        given = read_json(path)
        if not isinstance(given, dict):
            raise JobError(f"{path} must hold an object of strings")
        # SageMaker's own additions.
        given = {name: value for name, value in given.items() if not name.startswith("sagemaker_")}
        known = {field.name: field.type for field in fields(cls)}
        if unknown := sorted(set(given) - set(known)):
            raise JobError(f"unknown hyperparameter {unknown[0]!r}; known are {', '.join(known)}")
        if missing := [name for name in REQUIRED if not given.get(name)]:
            raise JobError(f"the hyperparameter {missing[0]!r} is missing")
        return cls(**{name: _parsed(name, value, known[name]) for name, value in given.items()})

    def for_processes(self, count: int) -> Self:
        """The same hyperparameters, if a batch can be divided among `count` processes.

        Raises:
            JobError: a process would have nothing to do in some part of a batch.
        """
        parts = count * self.accumulation
        if self.batch_size < parts:
            raise JobError(
                f"batch_size {self.batch_size} is divided among {count} processes times accumulation "
                f"{self.accumulation}, which leaves parts without an image: raise training.batch_size to at least "
                f"{parts}, or lower training.accumulation or training.instance_count"
            )
        return self

    def largest_part(self, processes: int) -> int:
        """The most images that a process computes at once."""
        return -(-self.batch_size // (processes * self.accumulation))


PARSERS: Final[Mapping[Any, tuple[str, Callable[[str], Any]]]] = {
    str: ("text", str),
    int: ("a whole number", int),
    float: ("a number", float),
    bool: ("true or false", lambda text: {"true": True, "false": False}[text.lower()]),
}


def _parsed(name: str, value: object, kind: Any) -> Any:
    words, parse = PARSERS[kind]
    try:
        parsed = parse(str(value))
    except (ValueError, KeyError):
        raise JobError(f"hyperparameter {name} is {value!r}: it must be {words}") from None
    rule = RULES.get(name)
    if rule and not rule.fits(parsed):
        raise JobError(f"hyperparameter {name} is {parsed}: it must be {rule.words}")
    return parsed
