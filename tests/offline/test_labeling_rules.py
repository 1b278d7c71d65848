"""What CreateLabelingJob refuses before there is a job."""

import copy
from typing import Any

import pytest

from offline.runners.labeling.kinds import BUILT_IN, CUSTOM, UnknownTaskType, kind_of
from offline.runners.labeling.rules import Refused, check
from tests.offline.labeling import AWS_FUNCTIONS, TEAM, functions

PUBLIC = "arn:aws:sagemaker:us-east-1:394669845002:workteam/public-crowd/default"
ALGORITHM = "arn:aws:sagemaker:us-east-1:027400017018:labeling-job-algorithm-specification/image-classification"
MODEL = "arn:aws:sagemaker:us-east-1:123456789012:model/first"
OWN = "arn:aws:lambda:us-east-1:123456789012:function:SageMaker-own"
OWN_FUNCTIONS = {
    "PreHumanTaskLambdaArn": OWN,
    "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": OWN},
}


def request(**human: Any) -> dict[str, Any]:
    """A request that is fine, with these changes to its HumanTaskConfig."""
    return {
        "LabelAttributeName": "species",
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://b/m"}}},
        "LabelCategoryConfigS3Uri": "s3://b/c",
        "HumanTaskConfig": {
            "WorkteamArn": TEAM,
            "UiConfig": {"UiTemplateS3Uri": "s3://b/t"},
            "TaskTimeLimitInSeconds": 300,
            **{**functions("ImageMultiClass"), **human},
        },
    }


def public(kind: str = "ImageMultiClass", **price: int) -> dict[str, Any]:
    asked = request(WorkteamArn=PUBLIC, PublicWorkforceTaskPrice={"AmountInUsd": price}, **functions(kind))
    asked["InputConfig"]["DataAttributes"] = {"ContentClassifiers": ["FreeOfPersonallyIdentifiableInformation"]}
    return asked


def judge(asked: dict[str, Any]) -> None:
    check(asked, "us-east-1", team_exists=lambda arn: arn == TEAM, model_exists=lambda arn: arn == MODEL)


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(**OWN_FUNCTIONS),
        *(request(**functions(kind)) for kind in BUILT_IN),
        request() | {"LabelingJobAlgorithmsConfig": {"LabelingJobAlgorithmSpecificationArn": ALGORITHM}},
        public(Dollars=0, Cents=1, TenthFractionsOfACent=2),
        public(Dollars=1, Cents=20),
    ],
)
def test_what_the_service_takes_is_taken(asked: dict[str, Any]) -> None:
    judge(asked)


def without_classifiers() -> dict[str, Any]:
    asked = public(Cents=12)
    del asked["InputConfig"]["DataAttributes"]
    return asked


def without_categories() -> dict[str, Any]:
    asked = request()
    del asked["LabelCategoryConfigS3Uri"]
    return asked


def learning(kind: str = "ImageMultiClass", **changes: str) -> dict[str, Any]:
    config = {"LabelingJobAlgorithmSpecificationArn": ALGORITHM, **changes}
    human = functions(kind) if kind else OWN_FUNCTIONS
    return request(**human) | {"LabelingJobAlgorithmsConfig": config}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request() | {"LabelAttributeName": "species-metadata"}, "must not end with '-metadata'"),
        (request() | {"LabelAttributeName": "species-ref"}, "must not end with '-ref'"),
        (request() | {"LabelAttributeName": "source"}, "the name of the data object"),
        (request(WorkteamArn=f"{TEAM}-of-strangers"), "no work team"),
        (request(WorkteamArn=PUBLIC.replace("394669845002", "123456789012")), "public work team of this region"),
        (request(PublicWorkforceTaskPrice={"AmountInUsd": {"Cents": 12}}), "only for the public work team"),
        (without_classifiers(), "FreeOfPersonallyIdentifiableInformation"),
        (public(Cents=5), "0.050 USD is not a price"),
        (public(), "0.000 USD is not a price"),
        (public("BoundingBox", Cents=1, TenthFractionsOfACent=2), "0.012 USD is not a price"),
        (request(TaskTimeLimitInSeconds=28_801), "more than 28800"),
        (request(TaskAvailabilityLifetimeInSeconds=30 * 86_400 + 1), "more than 2592000"),
        (request(UiConfig={"HumanTaskUiArn": "arn"}), "must have UiTemplateS3Uri"),
        (without_categories(), "LabelCategoryConfigS3Uri is required"),
        (request(**functions("SemanticSegmentation")), "PRE-SemanticSegmentation"),
        (request(PreHumanTaskLambdaArn=f"{AWS_FUNCTIONS}:PRE-BoundingBox"), "not the functions of one task type"),
        (learning(kind=""), "not supported for custom tasks"),
        (learning("VerificationBoundingBox"), "not supported for VerificationBoundingBox"),
        (learning("BoundingBox"), "object-detection, not"),
        (learning(InitialActiveLearningModelArn=f"{MODEL}-gone"), "no such model"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_refused_with_the_reason(asked: dict[str, Any], reason: str) -> None:
    before = copy.deepcopy(asked)
    with pytest.raises(Refused) as refused:
        judge(asked)
    assert reason in str(refused.value)
    assert asked == before


def test_the_public_work_team_keeps_tasks_for_half_a_day() -> None:
    asked = public(Cents=12)
    asked["HumanTaskConfig"]["TaskAvailabilityLifetimeInSeconds"] = 43_201
    with pytest.raises(Refused, match="more than 43200"):
        judge(asked)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (AWS_FUNCTIONS.replace("us-east-1", "eu-west-1") + ":PRE-ImageMultiClass", "not in the labeling job's region"),
        (AWS_FUNCTIONS.replace("432418664414", "568282634449") + ":PRE-ImageMultiClass", "are of 432418664414"),
        ("", "'no function' is not a function"),
    ],
)
def test_functions_of_the_wrong_account_or_region_are_told_apart(before: str, reason: str) -> None:
    with pytest.raises(UnknownTaskType, match=reason):
        kind_of({**functions("ImageMultiClass"), "PreHumanTaskLambdaArn": before}, "us-east-1")


def test_functions_of_the_account_make_a_custom_task() -> None:
    assert kind_of(OWN_FUNCTIONS, "us-east-1") is CUSTOM
