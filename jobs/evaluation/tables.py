"""What a confusion matrix says, per class and in SageMaker's own words."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.evaluation.rates import interval

Matrix = NDArray[np.int64]
"""[truth, prediction]: numbers of objects."""

BETAS: Final = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
SAMPLES_FROM: Final = 200
"""Below this many objects SageMaker gives no standard deviations."""
SAMPLES: Final = 5
SAMPLED_SHARE: Final = 0.8


@dataclass(frozen=True)
class ClassFigures:
    """One class on the test split. What nothing was counted for is None; `low` to `high` is recall's 95 % interval."""

    label: str
    objects: int
    recall: float | None
    low: float
    high: float
    precision: float | None
    f1: float | None

    def described(self) -> dict[str, Any]:
        return asdict(self)


def class_figures(labels: list[str], confusion: Matrix) -> list[ClassFigures]:
    """The per-class table, in the order of the labels."""
    found = []
    for number, label in enumerate(labels):
        right, objects, answers = (
            int(confusion[number, number]),
            int(confusion[number].sum()),
            int(confusion[:, number].sum()),
        )
        low, high = interval(right, objects)
        found.append(
            ClassFigures(
                label=label,
                objects=objects,
                recall=right / objects if objects else None,
                low=low,
                high=high,
                precision=right / answers if answers else None,
                f1=2 * right / (objects + answers) if objects + answers else None,
            )
        )
    return found


def model_quality(labels: list[str], confusion: Matrix) -> dict[str, Any]:
    """statistics.json: the metrics as SageMaker Model Monitor writes them, which Studio draws for a model package.

    Each with the standard deviation over 5 random samples of 80 %, "NaN" below 200 objects:
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
    """
    values, constant = _weighted(confusion), _weighted(_best_constant(confusion))
    samples = _samples(confusion)
    spreads = [_weighted(sample) for sample in samples]
    constant_spreads = [_weighted(_best_constant(sample)) for sample in samples]
    return {
        "multiclass_classification_metrics": {
            "confusion_matrix": {
                truth: dict(zip(labels, row, strict=True))
                for truth, row in zip(labels, confusion.tolist(), strict=True)
            },
            **{name: _measured(value, [one[name] for one in spreads]) for name, value in values.items()},
            **{
                f"{name}_best_constant_classifier": _measured(value, [one[name] for one in constant_spreads])
                for name, value in constant.items()
            },
        }
    }


def _measured(value: float, samples: list[float]) -> dict[str, Any]:
    return {"value": value, "standard_deviation": float(np.std(samples)) if samples else "NaN"}


def _weighted(confusion: Matrix) -> dict[str, float]:
    """Accuracy, and means over classes weighted by their objects. A class that is never predicted has precision 0."""
    right, objects, answers = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    share = objects / objects.sum()
    recall = right / np.maximum(objects, 1)
    precision = right / np.maximum(answers, 1)
    scores = {name: (1 + beta**2) * right / np.maximum(beta**2 * objects + answers, 1) for name, beta in BETAS.items()}
    return {
        "accuracy": float(right.sum() / objects.sum()),
        "weighted_recall": float(share @ recall),
        "weighted_precision": float(share @ precision),
        **{f"weighted_{name}": float(share @ score) for name, score in scores.items()},
    }


def _best_constant(confusion: Matrix) -> Matrix:
    """What a model would do that always answers with the most frequent class."""
    objects = confusion.sum(1)
    constant = np.zeros_like(confusion)
    constant[:, objects.argmax()] = objects
    return constant


def _samples(confusion: Matrix) -> list[Matrix]:
    """Confusion matrices of random parts of the objects, the same in every run. None of a small split."""
    objects = int(confusion.sum())
    if objects < SAMPLES_FROM:
        return []
    rng = np.random.default_rng(0)
    drawn = rng.multivariate_hypergeometric(
        confusion.ravel(), round(SAMPLED_SHARE * objects), size=SAMPLES, method="marginals"
    )
    return [one.reshape(confusion.shape) for one in drawn]
