"""The knobs of a training, which SageMaker hands over as strings."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from jobs.errors import JobError
from jobs.paths import read_json


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    model_version: str
    dataset_version: str
    label_attribute: str = "species"
    image_pixels: int = 224
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 0.002
    seed: int = 1

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
        known = {field.name: field for field in fields(cls)}
        if unknown := sorted(set(given) - set(known)):
            raise JobError(f"unknown hyperparameter {unknown[0]!r}; known are {', '.join(known)}")
        if missing := [name for name in ("model_version", "dataset_version") if not given.get(name)]:
            raise JobError(f"the hyperparameter {missing[0]!r} is missing")
        values = cls(**{name: _converted(name, value, known[name].type) for name, value in given.items()})
        values._check()
        return values

    def _check(self) -> None:
        allowed = {
            "image_pixels": (
                32 <= self.image_pixels <= 1024 and self.image_pixels % 32 == 0,
                "a multiple of 32, 32 to 1024",
            ),
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 2, "at least 2"),
            "learning_rate": (0 < self.learning_rate <= 10, "above 0, at most 10"),
            "seed": (0 <= self.seed < 2**63, "0 or more"),
        }
        for name, (fits, rule) in allowed.items():
            if not fits:
                raise JobError(f"hyperparameter {name} is {getattr(self, name)}: it must be {rule}")


def _converted(name: str, value: object, kind: Any) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise JobError(f"hyperparameter {name} is {value!r}: it must be a {kind.__name__}") from None
