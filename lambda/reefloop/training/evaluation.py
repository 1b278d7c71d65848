"""evaluation.json: what the test split says about a model, as far as the registry takes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reefloop.model_card import ModelInvalid, member


@dataclass(frozen=True)
class Evaluation:
    accepted: bool
    reasons: list[str]
    numbers: dict[str, str]
    """Every number that is not in a list, by its path: {"test": {"error": 0.1}} gives test_error."""


def parse(value: Any, *, source: str, model_version: str) -> Evaluation:
    """The evaluation in a parsed evaluation.json.

    Raises:
        ModelInvalid: naming the first member that is missing or wrong.
    """
    version = member(value, "model_version", str, source=source)
    if version != model_version:
        raise ModelInvalid(f"{source} is about model {version!r} and must be about {model_version!r}")
    return Evaluation(
        accepted=member(value, "accepted", bool, source=source),
        reasons=[str(reason) for reason in member(value, "reasons", list, source=source)],
        numbers=dict(_numbers(value)),
    )


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """A package takes texts alone: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html"""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, f"{path}_{name}" if path else name)
    elif isinstance(value, bool):
        yield path, str(value).lower()
    elif isinstance(value, int | float):
        yield path, str(value)
