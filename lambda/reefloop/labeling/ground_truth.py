"""What SageMaker Ground Truth offers, as data: regions, kinds of tasks, what the public workforce was paid.

Read by the settings, the stack and the functions.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ACCOUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "us-east-1": "432418664414",
        "us-east-2": "266458841044",
        "us-west-2": "081040173940",
        "ca-central-1": "918755190332",
        "eu-west-1": "568282634449",
        "eu-west-2": "487402164563",
        "eu-central-1": "203001061592",
        "ap-northeast-1": "477331159723",
        "ap-northeast-2": "845288260483",
        "ap-south-1": "565803892007",
        "ap-southeast-1": "377565633583",
        "ap-southeast-2": "454466003867",
    }
)
"""The account of AWS's own that holds the built-in task functions of a region."""

ALGORITHM_ACCOUNT: Final = "027400017018"
"""Holds the algorithms of automated labeling, in every region."""

CANNOT_TELL: Final = "(cannot tell)"
"""What people may answer on the custom page, beside the categories: no vote for any of them."""

AUTOMATED_LEAST_OBJECTS: Final = 1250
"""https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.html"""

AUTOMATED_ERROR: Final = 0.05
"""Automated labeling promises 95 % right labels, and nothing better can be asked of it."""

# USD per object and worker: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PublicWorkforceTaskPrice.html
_BOX_PRICES: Final = (0.036, 0.048, 0.06, 0.072, 0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.84, 0.96, 1.08, 1.2)
_CLASS_PRICES: Final = (0.012, 0.024, *_BOX_PRICES)


@dataclass(frozen=True)
class TaskKind:
    """One kind of labeling job.

    `function` is the built-in task functions' common name ("PRE-<function>" and "ACS-<function>"), or "" where this
    project's own are used. `attribute_suffix` makes the job's label attribute out of the project's: a review must
    write to another than it reads. `algorithm` labels by itself what it is sure of, "" where there is none for this
    kind. `reviews` says that people are shown the labels of the line; `answers` are what they choose from where that
    is not the project's categories. `title` and `description` are what people read in their list of jobs.
    """

    function: str
    title: str
    description: str
    algorithm: str = ""
    attribute_suffix: str = ""
    reviews: bool = False
    answers: tuple[str, ...] = ()
    prices_usd: tuple[float, ...] = ()


KINDS: Final[Mapping[str, TaskKind]] = MappingProxyType(
    {
        "classification": TaskKind(
            function="ImageMultiClass",
            title="Which animal is this?",
            description="Choose the species of the animal in the underwater image",
            algorithm="image-classification",
            prices_usd=_CLASS_PRICES,
        ),
        "custom-classification": TaskKind(
            function="",
            title="Which animal is this?",
            description="Choose the species of the animal in the underwater image, or say that nobody can tell",
            prices_usd=_CLASS_PRICES,
        ),
        "boxes": TaskKind(
            function="BoundingBox",
            title="Where are the animals?",
            description="Draw a tight box around each animal in the underwater image and choose its species",
            algorithm="object-detection",
            prices_usd=_BOX_PRICES,
        ),
        "box-adjustment": TaskKind(
            function="AdjustmentBoundingBox",
            title="Correct these boxes",
            description="Move, resize, remove and add boxes until each animal has one, with its species",
            attribute_suffix="-adjusted",
            reviews=True,
        ),
        "box-verification": TaskKind(
            function="VerificationBoundingBox",
            title="Are these boxes right?",
            description="Say whether each animal has a tight box with the right species",
            attribute_suffix="-verified",
            reviews=True,
            answers=("right", "wrong"),
        ),
    }
)
"""Each has its page in pages/<name>.liquid.html. Classes have no review job: they are asked for once more, blindly."""


def kinds_of(task: str, *, page: str, review: str) -> dict[str, str]:
    """Which kind of job each team does.

    Args:
        task: classification or detection.
        page: built-in or custom, for classes.
        review: what experts do to boxes: adjustment, verification, or "" to draw them once more.
    """
    if task == "detection":
        return {"labelers": "boxes", "experts": f"box-{review}" if review else "boxes"}
    kind = "custom-classification" if page == "custom" else "classification"
    return {"labelers": kind, "experts": kind}


def price(usd: float) -> dict[str, int]:
    """A price as the service writes it: 0.036 is 3 cents and 6 tenths of a cent."""
    cents, tenths = divmod(round(usd * 1000), 10)
    return {"Dollars": cents // 100, "Cents": cents % 100, "TenthFractionsOfACent": tenths}
