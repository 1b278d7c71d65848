"""SageMaker of the offline account: names, people, the registry and tags."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from tests.offline.bench import Bench, any_name

POOL = {"UserPool": "us-east-1_abc", "ClientId": "client"}


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


@pytest.fixture(scope="module")
def image(bench: Bench) -> str:
    return bench.image("print('done')")


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def team(bench: Bench, name: str) -> str:
    member = {"CognitoMemberDefinition": {**POOL, "UserGroup": name}}
    arn: str = bench.sagemaker.create_workteam(
        WorkteamName=name,
        Description="who labels",
        MemberDefinitions=[member],
        Tags=[{"Key": "stage", "Value": "labeling"}],
    )["WorkteamArn"]
    return arn


def package(bench: Bench, group: str, **request: Any) -> str:
    """The ARN of a new version of a model."""
    specification = {
        "Containers": [{"Image": "image", "ModelDataUrl": "s3://bench/model.tar.gz"}],
        "SupportedContentTypes": ["image/png"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    arn: str = bench.sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=specification, **request
    )["ModelPackageArn"]
    return arn


def test_the_name_of_a_job_is_taken_for_good(bench: Bench, image: str) -> None:
    name = bench.process(image)["ProcessingJobName"]

    with pytest.raises(ClientError) as refused:
        bench.process(image, ProcessingJobName=name)

    assert code(refused) == "ResourceInUse"


def test_jobs_of_different_kinds_may_share_a_name(bench: Bench, image: str) -> None:
    name = any_name("shared")

    assert bench.process(image, ProcessingJobName=name)["ProcessingJobStatus"] == "Completed"
    assert bench.train(image, TrainingJobName=name)["TrainingJobStatus"] == "Completed"


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(ClientError) as refused:
        bench.sagemaker.describe_training_job(TrainingJobName="nobody")

    assert code(refused) == "ResourceNotFound"


def test_a_job_that_ended_can_be_deleted_and_not_stopped(bench: Bench, image: str) -> None:
    name = bench.process(image)["ProcessingJobName"]
    with pytest.raises(ClientError) as refused:
        bench.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert code(refused) == "ValidationException"

    bench.sagemaker.delete_processing_job(ProcessingJobName=name)

    with pytest.raises(ClientError) as gone:
        bench.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert code(gone) == "ResourceNotFound"


def test_jobs_are_listed_by_status_and_page(bench: Bench, image: str) -> None:
    bench.faults.fail_job("processing", "bad luck", match=lambda job: job["ProcessingJobName"] == "listed-b")
    for letter in "abc":
        bench.process(image, ProcessingJobName=f"listed-{letter}")

    failed = bench.sagemaker.list_processing_jobs(NameContains="listed", StatusEquals="Failed")
    first = bench.sagemaker.list_processing_jobs(
        NameContains="listed", MaxResults=2, SortBy="Name", SortOrder="Ascending"
    )
    second = bench.sagemaker.list_processing_jobs(
        NameContains="listed", MaxResults=2, SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"]
    )

    assert [job["ProcessingJobName"] for job in failed["ProcessingJobSummaries"]] == ["listed-b"]
    pages = [[job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] for page in (first, second)]
    assert pages == [["listed-a", "listed-b"], ["listed-c"]]


def test_a_job_carries_its_tags(bench: Bench, image: str) -> None:
    arn = bench.process(image, Tags=[{"Key": "round", "Value": "r1"}])["ProcessingJobArn"]

    bench.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "labeling"}])

    tags = {tag["Key"]: tag["Value"] for tag in bench.sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"round": "r1", "stage": "labeling"}


@pytest.mark.parametrize(
    "change",
    [
        {"EnableManagedSpotTraining": True},
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 599},
        },
        {"StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}},
    ],
)
def test_spot_training_and_its_waiting_time_go_together(bench: Bench, image: str, change: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        bench.train(image, **change)

    assert code(refused) == "ValidationException"
    assert "MaxWaitTimeInSeconds" in refused.value.response["Error"]["Message"]


def test_an_account_has_one_workforce_and_keeps_it_while_teams_remain(bench: Bench) -> None:
    bench.sagemaker.create_workforce(WorkforceName="people", CognitoConfig=POOL)
    with pytest.raises(ClientError) as second:
        bench.sagemaker.create_workforce(WorkforceName="others", CognitoConfig=POOL)
    assert code(second) == "ResourceLimitExceeded"
    arn = team(bench, "labelers")
    with pytest.raises(ClientError) as kept:
        bench.sagemaker.delete_workforce(WorkforceName="people")
    assert code(kept) == "ResourceInUse"

    described = bench.sagemaker.describe_workteam(WorkteamName="labelers")["Workteam"]
    assert (described["WorkteamArn"], described["WorkteamName"]) == (arn, "labelers")
    assert bench.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "labeling"}]
    bench.sagemaker.delete_workteam(WorkteamName="labelers")
    bench.sagemaker.delete_workforce(WorkforceName="people")

    assert bench.sagemaker.list_workforces()["Workforces"] == []


def test_a_team_needs_a_workforce(bench: Bench) -> None:
    with pytest.raises(ClientError) as refused:
        team(bench, "early")

    assert code(refused) == "ResourceNotFound"


def test_updating_a_model_package_keeps_what_is_not_given(bench: Bench) -> None:
    group = any_name("group")
    bench.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    arn = package(
        bench,
        group,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={"model_version": "v1", "test_accuracy": "0.9"},
    )

    bench.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    bench.sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"champion": "yes"})

    found = bench.sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["CustomerMetadataProperties"] == {"model_version": "v1", "test_accuracy": "0.9", "champion": "yes"}


def test_a_group_is_deleted_after_its_packages(bench: Bench) -> None:
    group = any_name("group")
    bench.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    versions = [package(bench, group) for _ in range(2)]
    assert [arn.rpartition("/")[2] for arn in versions] == ["1", "2"]
    with pytest.raises(ClientError) as kept:
        bench.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert code(kept) == "ConflictException"

    for arn in versions:
        bench.sagemaker.delete_model_package(ModelPackageName=arn)
    bench.sagemaker.delete_model_package_group(ModelPackageGroupName=group)

    groups = bench.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert group not in json.dumps(groups, default=str)
