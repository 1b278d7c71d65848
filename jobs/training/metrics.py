"""What a training says of each epoch, in one line of its log that the job's metric definitions read.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from collections.abc import Mapping
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "epoch": "",
    "train:loss": "with label smoothing and class weights, over the epoch's augmented images",
    "train:accuracy": "share, over the epoch's augmented images",
    "validation:loss": "of the validation split as it is",
    "validation:accuracy": "share, of the validation split as it is",
    "learning_rate": "of the epoch's last step",
    "images_per_second": "of all processes together, without validation and checkpoints",
    "step_seconds": "one step of the optimizer",
    "data_wait_share": "share of the step's time in which the network waited for images, of the slowest process",
    "gpu_memory_gib": "the most that one process held; only where there is a GPU",
}


def line(values: Mapping[str, float]) -> str:
    """`name=value` of each metric in `values`, in the order of NAMES and never in scientific notation."""
    if unknown := set(values) - set(NAMES):
        raise KeyError(f"not a metric: {', '.join(sorted(unknown))}")
    return " ".join(f"{name}={_number(values[name])}" for name in NAMES if name in values)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
