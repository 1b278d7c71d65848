"""What CreateLabelingJob refuses before there is a job.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from offline.runners.labeling.kinds import CUSTOM, Kind, UnknownTaskType, kind_of

Request = Mapping[str, Any]

_DAY_SECONDS: Final = 24 * 3600
MAX_TASK_SECONDS: Final = 8 * 3600
MAX_AVAILABILITY_SECONDS: Final = {True: _DAY_SECONDS // 2, False: 30 * _DAY_SECONDS}
DEFAULT_AVAILABILITY_SECONDS: Final = {True: _DAY_SECONDS // 4, False: 30 * _DAY_SECONDS}
"""By whether the work team is the public one."""
_PUBLIC_ACCOUNT: Final = "394669845002"
_ALGORITHM_ACCOUNT: Final = "027400017018"


class Refused(Exception):
    """A request that makes no job."""


def check(
    request: Request, region: str, *, team_exists: Callable[[str], bool], model_exists: Callable[[str], bool]
) -> None:
    """Refuse what the service refuses.

    Raises:
        Refused: with what is wrong, the value and what is allowed.
    """
    human = request["HumanTaskConfig"]
    try:
        kind = kind_of(human, region)
    except UnknownTaskType as error:
        raise Refused(str(error)) from None
    _check_attribute(request["LabelAttributeName"])
    team, public = human["WorkteamArn"], is_public(human["WorkteamArn"])
    if public and team != (ours := f"arn:aws:sagemaker:{region}:{_PUBLIC_ACCOUNT}:workteam/public-crowd/default"):
        raise Refused(f"The public work team of this region is {ours}, not {team}")
    if not public and not team_exists(team):
        raise Refused(f"There is no work team {team} in this account and region")
    _check_public(request, kind, public=public)
    _check_times(human, public=public)
    if "UiTemplateS3Uri" not in human["UiConfig"]:
        raise Refused(
            "UiConfig must have UiTemplateS3Uri: HumanTaskUiArn is for video frames, point clouds and entities"
        )
    if kind is not CUSTOM and "LabelCategoryConfigS3Uri" not in request:
        raise Refused(f"LabelCategoryConfigS3Uri is required for {kind.name}")
    if "LabelingJobAlgorithmsConfig" in request:
        _check_algorithm(request["LabelingJobAlgorithmsConfig"], kind, region, model_exists)


def is_public(team: str) -> bool:
    return ":workteam/public-crowd/" in team


def _check_attribute(attribute: str) -> None:
    if attribute.endswith("-metadata"):
        raise Refused(f"LabelAttributeName {attribute!r} must not end with '-metadata'")
    if attribute.endswith("-ref"):
        raise Refused(f"LabelAttributeName {attribute!r} must not end with '-ref': that is for segmentation and video")
    if attribute.startswith("$") or attribute in ("source", "source-ref"):
        raise Refused(f"LabelAttributeName {attribute!r} must not begin with '$' or be the name of the data object")


def _check_public(request: Request, kind: Kind, *, public: bool) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/sms-workforce-management-public.html"""
    price = request["HumanTaskConfig"].get("PublicWorkforceTaskPrice")
    if not public:
        if price is not None:
            raise Refused("PublicWorkforceTaskPrice is only for the public work team")
        return
    classifiers = request["InputConfig"].get("DataAttributes", {}).get("ContentClassifiers", [])
    if "FreeOfPersonallyIdentifiableInformation" not in classifiers:
        raise Refused("The public work team needs ContentClassifiers with FreeOfPersonallyIdentifiableInformation")
    dollars = (price or {}).get("AmountInUsd", {})
    thousandths = (
        1000 * dollars.get("Dollars", 0) + 10 * dollars.get("Cents", 0) + dollars.get("TenthFractionsOfACent", 0)
    )
    if thousandths not in kind.public_prices_thousandths:
        allowed = ", ".join(f"{one / 1000:.3f}" for one in sorted(kind.public_prices_thousandths))
        raise Refused(f"PublicWorkforceTaskPrice {thousandths / 1000:.3f} USD is not a price of the service: {allowed}")


def _check_times(human: Request, *, public: bool) -> None:
    if human["TaskTimeLimitInSeconds"] > MAX_TASK_SECONDS:
        raise Refused(f"TaskTimeLimitInSeconds {human['TaskTimeLimitInSeconds']} is more than {MAX_TASK_SECONDS}")
    available, most = human.get("TaskAvailabilityLifetimeInSeconds", 0), MAX_AVAILABILITY_SECONDS[public]
    if available > most:
        raise Refused(f"TaskAvailabilityLifetimeInSeconds {available} is more than {most}")


def _check_algorithm(config: Request, kind: Kind, region: str, model_exists: Callable[[str], bool]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.html"""
    arn = config["LabelingJobAlgorithmSpecificationArn"]
    if not kind.algorithm:
        raise Refused(f"Automated data labeling is not supported for {kind.name or 'custom tasks'}")
    prefix = f"arn:aws:sagemaker:{region}:{_ALGORITHM_ACCOUNT}:labeling-job-algorithm-specification/"
    if arn != prefix + kind.algorithm:
        raise Refused(f"The algorithm of {kind.name} in this region is {prefix}{kind.algorithm}, not {arn}")
    model = config.get("InitialActiveLearningModelArn")
    if model is not None and not model_exists(model):
        raise Refused(f"InitialActiveLearningModelArn {model}: there is no such model in this account and region")
