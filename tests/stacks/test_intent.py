"""What each stack is for, stated as properties of its template."""

from collections.abc import Callable

import pytest

from tests.stacks.conftest import Templates, definition, only, resources, text


def test_buckets_refuse_plain_http_and_the_public(configuration: Templates) -> None:
    storage = configuration["storage"]
    for bucket in resources(storage, "AWS::S3::Bucket").values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
    for policy in resources(storage, "AWS::S3::BucketPolicy").values():
        denials = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in denials]


def test_the_labeling_page_may_read_images_from_the_data_bucket(sandbox: Templates) -> None:
    (rule,) = only(sandbox["storage"], "AWS::S3::Bucket", "Data")["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["GET"]
    assert rule["AllowedOrigins"] == ["*"]
    assert rule["ExposedHeaders"] == ["Access-Control-Allow-Origin"]


def test_artifacts_are_versioned_since_greengrass_never_expects_them_to_change(sandbox: Templates) -> None:
    bucket = only(sandbox["storage"], "AWS::S3::Bucket", "Artifact")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_no_bucket_keeps_the_parts_of_an_upload_that_broke_off(sandbox: Templates) -> None:
    for bucket in resources(sandbox["storage"], "AWS::S3::Bucket").values():
        (rule,) = bucket["LifecycleConfiguration"]["Rules"]
        assert rule == {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}, "Status": "Enabled"}


@pytest.mark.parametrize(("stage", "policy"), [("production", "Retain"), ("sandbox", "Delete")])
def test_only_production_keeps_its_data(configured: Callable[[str], Templates], stage: str, policy: str) -> None:
    stateful = [
        resource
        for resource in configured(stage)["storage"]["Resources"].values()
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::SageMaker::ModelPackageGroup")
    ]
    assert [resource["DeletionPolicy"] for resource in stateful] == [policy] * 3


def test_passing_a_role_is_bound_to_sagemaker(configuration: Templates) -> None:
    passes = [
        statement
        for template in configuration.values()
        for policy in resources(template, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "iam:PassRole" in statement["Action"]
    ]
    assert passes
    for statement in passes:
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        assert "*" not in text(statement["Resource"])


def test_the_loop_runs_the_four_stages_and_stops_when_there_is_nothing_to_do(sandbox: Templates) -> None:
    states = definition(sandbox["loop"])["States"]
    assert [name for name in states if states[name]["Type"] == "Task"] == [
        "Labeling",
        "Training",
        "Compilation",
        "Deployment",
    ]
    assert {name for name in states if states[name]["Type"] == "Succeed"} == {"NothingNew", "ChampionStays"}


def test_everything_is_tagged_with_project_and_stage(sandbox: Templates) -> None:
    bucket = only(sandbox["storage"], "AWS::S3::Bucket", "Data")
    assert {"Key": "project", "Value": "reefloop"} in bucket["Tags"]
    assert {"Key": "stage", "Value": "sandbox"} in bucket["Tags"]
