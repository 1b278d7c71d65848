"""EventBridge of the offline account: what SageMaker tells reaches the functions that asked for it, and no others."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.services.events import Events
from tests.offline.bench import BUCKET, Bench, any_name, until
from tests.offline.stack_driver import Resources, Stacks

# Writes down every event that it gets.
WITNESS = """
import boto3, json, os, uuid
def handler(event, _):
    key = f"seen/{os.environ['NAME']}/{uuid.uuid4()}"
    boto3.client("s3").put_object(Bucket="bench", Key=key, Body=json.dumps(event))
"""
PATTERN = {
    "source": ["aws.sagemaker"],
    "detail-type": ["SageMaker Model Package State Change"],
    "detail": {"ModelApprovalStatus": ["Approved", "Rejected"]},
}


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


def witness(name: str, role: str, *, pattern: dict[str, Any] = PATTERN, permitted: bool = True) -> Resources:
    """A function that witnesses events, the rule that invokes it and, where it is permitted, the permission."""
    function = {
        "Code": {"ZipFile": WITNESS},
        "Handler": "index.handler",
        "Runtime": "python3.14",
        "Timeout": 60,
        "Role": role,
        "Environment": {"Variables": {"NAME": name}},
    }
    arn = {"Fn::GetAtt": ["Witness", "Arn"]}
    rule = {"EventPattern": pattern, "State": "ENABLED", "Targets": [{"Id": "Target0", "Arn": arn}]}
    permission = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": arn,
        "Principal": "events.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
    }
    resources = {
        "Witness": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
    }
    return resources | (
        {"Permission": {"Type": "AWS::Lambda::Permission", "Properties": permission}} if permitted else {}
    )


def seen(bench: Bench, name: str) -> list[Any]:
    return [json.loads(bench.get(f"s3://{BUCKET}/seen/{name}/{key}")) for key in bench.keys(f"seen/{name}/")]


def registered(bench: Bench) -> str:
    """The ARN of a new model package that waits for approval."""
    group = any_name("group")
    bench.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    arn: str = bench.sagemaker.create_model_package(
        ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageArn"]
    return arn


def test_who_asked_for_decisions_about_models_is_told_of_each_twice(bench: Bench, stacks: Stacks) -> None:
    stack = stacks.create("told", witness("told", bench.role))
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.failures("told")
    arn = registered(bench)

    bench.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    event, again = until(lambda: seen(bench, "told"), lambda events: len(events) >= 2)
    assert event == again
    assert (event["source"], event["detail-type"]) == ("aws.sagemaker", "SageMaker Model Package State Change")
    assert event["resources"] == [arn]
    detail = event["detail"]
    assert (detail["ModelPackageArn"], detail["ModelApprovalStatus"]) == (arn, "Approved")
    assert detail["ModelPackageVersion"] == 1
    assert detail["ModelPackageGroupName"] == arn.split("/")[-2]
    assert detail["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]


def test_a_rule_that_changes_or_goes_changes_who_is_told(bench: Bench, stacks: Stacks) -> None:
    stacks.create("changing", witness("changing", bench.role))
    rejected = PATTERN | {"detail": {"ModelApprovalStatus": [{"prefix": "Rej"}]}}
    assert (
        stacks.update("changing", witness("changing", bench.role, pattern=rejected))["StackStatus"] == "UPDATE_COMPLETE"
    )
    arn = registered(bench)
    for status in ("Approved", "Rejected"):
        bench.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)

    events = until(lambda: seen(bench, "changing"), lambda events: len(events) >= 2)

    assert {event["detail"]["ModelApprovalStatus"] for event in events} == {"Rejected"}
    assert stacks.delete("changing") == "DELETE_COMPLETE"
    assert bench.account.client("events").list_rules()["Rules"] == []


def test_a_function_that_does_not_permit_it_is_not_invoked(bench: Bench, stacks: Stacks) -> None:
    stacks.create("closed", witness("closed", bench.role, permitted=False))
    stacks.create("open", witness("open", bench.role))
    arn = registered(bench)
    bench.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    until(lambda: seen(bench, "open"), lambda events: len(events) >= 2)
    assert seen(bench, "closed") == []


def test_a_scheduled_rule_is_struck_by_the_clock_alone(bench: Bench, stacks: Stacks) -> None:
    name = any_name("hourly")
    resources = witness(name, bench.role)
    rule = resources["Rule"]["Properties"]
    del rule["EventPattern"]
    stacks.create(
        name, {**resources, "Rule": {**resources["Rule"], "Properties": {**rule, "ScheduleExpression": "rate(1 hour)"}}}
    )
    events = bench.account.state.events
    assert isinstance(events, Events)

    registered(bench)
    events.strike(stacks.ids(name)["Rule"])
    events.strike("no such rule")

    [event] = until(lambda: seen(bench, name), bool)
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"EventPattern": json.dumps({"source": ["my.app"], "detail-type": ["Order"]})}, "sent are aws.sagemaker"),
        ({"EventPattern": json.dumps({"source": ["aws.sagemaker"]})}, "sent are aws.sagemaker"),
        (
            {"EventPattern": json.dumps(PATTERN | {"detail": {"ModelPackageVersion": [{"odd": True}]}})},
            "filters by 'odd'",
        ),
        ({"ScheduleExpression": "cron(0 12 * * ? *)"}, "known are those like rate"),
        ({"EventPattern": json.dumps(PATTERN), "EventBusName": "other"}, "the default one only"),
    ],
)
def test_a_rule_that_would_never_fire_here_is_refused(bench: Bench, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        bench.account.client("events").put_rule(Name="never", **change)
    assert bench.account.client("events").list_rules(NamePrefix="never")["Rules"] == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"Arn": "arn:aws:sqs:us-east-1:123456789012:queue"}, "delivered to functions only"),
        ({"Arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "Input": "{}"}, "has Input"),
    ],
)
def test_a_target_that_gets_nothing_here_is_refused(bench: Bench, target: dict[str, Any], message: str) -> None:
    events = bench.account.client("events")
    events.put_rule(Name="aimless", EventPattern=json.dumps(PATTERN))
    with pytest.raises(ClientError, match=message):
        events.put_targets(Rule="aimless", Targets=[{"Id": "one", **target}])
    events.delete_rule(Name="aimless")
