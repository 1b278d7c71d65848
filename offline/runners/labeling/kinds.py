"""The task types that this account's people can do, as data.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-task-types.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from offline.state import Work

# Whose functions prepare and consolidate the built-in task types, by region:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
FUNCTION_ACCOUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ap-northeast-1": "477331159723",
        "ap-northeast-2": "845288260483",
        "ap-south-1": "565803892007",
        "ap-southeast-1": "377565633583",
        "ap-southeast-2": "454466003867",
        "ca-central-1": "918755190332",
        "eu-central-1": "203001061592",
        "eu-west-1": "568282634449",
        "eu-west-2": "487402164563",
        "us-east-1": "432418664414",
        "us-east-2": "266458841044",
        "us-west-2": "081040173940",
    }
)
_FUNCTION: Final = re.compile(r"arn:aws:lambda:([a-z0-9-]+):(\d{12}):function:(.+)")

# What an answer by the public workforce may cost, in thousandths of a US dollar:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PublicWorkforceTaskPrice.html
_BOX_PRICES: Final = frozenset((36, 48, 60, 72, *range(120, 1201, 120)))
_PRICES: Final = _BOX_PRICES | {12, 24}


class UnknownTaskType(Exception):
    """Functions that belong to no task type which this account knows."""


@dataclass(frozen=True)
class Kind:
    """One task type.

    `name` is its built-in functions' (PRE-<name>, ACS-<name>), "" for functions of the account's own; `page_type` is
    the element of the worker template that asks for an answer and `field` the name under which it must submit it;
    `algorithm` is what may label in people's place.
    """

    name: str
    work: Work
    type: str
    page_element: str
    field: str = ""
    algorithm: str = ""
    fewest_categories: int = 1
    most_categories: int = 1_000_000
    public_prices_thousandths: frozenset[int] = _PRICES

    @property
    def reviews(self) -> bool:
        """Whether people see the labels of an earlier job."""
        return self.work in ("adjust", "verify")

    @property
    def draws(self) -> bool:
        """Whether people answer with boxes."""
        return self.work in ("draw", "adjust")


# https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html has the limits of the categories.
BUILT_IN: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "ImageMultiClass",
                "classify",
                "groundtruth/image-classification",
                "crowd-image-classifier",
                "crowd-image-classifier",
                algorithm="image-classification",
                fewest_categories=2,
            ),
            Kind(
                "BoundingBox",
                "draw",
                "groundtruth/object-detection",
                "crowd-bounding-box",
                "boundingBox",
                algorithm="object-detection",
                most_categories=50,
                public_prices_thousandths=_BOX_PRICES,
            ),
            Kind(
                "AdjustmentBoundingBox",
                "adjust",
                "groundtruth/object-detection",
                "crowd-bounding-box",
                "boundingBox",
                most_categories=50,
                public_prices_thousandths=_BOX_PRICES,
            ),
            Kind(
                "VerificationBoundingBox",
                "verify",
                "groundtruth/label-verification",
                "crowd-image-classifier",
                "crowd-image-classifier",
                fewest_categories=2,
                public_prices_thousandths=_BOX_PRICES,
            ),
        )
    }
)
CUSTOM: Final = Kind("", "classify", "groundtruth/custom", "crowd-image-classifier")


def kind_of(human: Mapping[str, Any], region: str) -> Kind:
    """The task type of a HumanTaskConfig, told by its functions.

    Raises:
        UnknownTaskType: a function of another region, of another task type than its partner, or of none known here.
    """
    before = human.get("PreHumanTaskLambdaArn", "")
    after = human.get("AnnotationConsolidationConfig", {}).get("AnnotationConsolidationLambdaArn", "")
    names = [_name(before, "PRE-", region), _name(after, "ACS-", region)]
    if names[0] != names[1]:
        raise UnknownTaskType(f"{before} and {after} are not the functions of one task type")
    return BUILT_IN[names[0]] if names[0] else CUSTOM


def _name(arn: str, prefix: str, region: str) -> str:
    """ImageMultiClass of PRE-ImageMultiClass; "" for a function of the account's own."""
    parts = _FUNCTION.fullmatch(arn)
    if parts is None:
        raise UnknownTaskType(
            f"{arn or 'no function'!r} is not a function: this account's people need one before and one after them"
        )
    if parts[1] != region:
        raise UnknownTaskType(f"the function {arn} is not in the labeling job's region {region}")
    if parts[2] not in FUNCTION_ACCOUNTS.values():
        return ""
    if parts[2] != FUNCTION_ACCOUNTS[region]:
        raise UnknownTaskType(f"Ground Truth's own functions in {region} are of {FUNCTION_ACCOUNTS[region]}, not {arn}")
    name = parts[3].removeprefix(prefix)
    if not parts[3].startswith(prefix) or name not in BUILT_IN:
        known = ", ".join(f"{prefix}{built_in}" for built_in in BUILT_IN)
        raise UnknownTaskType(f"this account's people know the built-in {known} and custom tasks, not {arn}")
    return name
