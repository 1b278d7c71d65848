"""What devices may do, what they are told, and what becomes of what they say."""

import json
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest

from reefloop import contracts
from reefloop.payloads import HealthState
from settings import Settings
from tests.stacks.conftest import Templates, definition, listed, only, resources, statements, text


def test_a_device_puts_frames_under_its_own_name_and_nothing_else_anywhere(sandbox: Templates) -> None:
    device = statements(sandbox["deployment"], "TokenExchangeRole")
    written = [text(one) for statement in device if "s3:PutObject" in statement["Action"]
               for one in listed(statement["Resource"])]  # fmt: skip
    assert len(written) == 1
    assert written[0].endswith("/images/edge/${credentials-iot:ThingName}/*")
    assert not [one for statement in device for one in listed(statement["Action"]) if one.startswith("s3:Delete")]


def test_code_and_model_go_to_groups_of_their_own(sandbox: Templates) -> None:
    deployment = only(sandbox["deployment"], "AWS::GreengrassV2::Deployment")
    assert list(deployment["Components"]) == ["reefloop.Classifier"]
    assert "BaseGroup" in text(deployment["TargetArn"])
    states = definition(sandbox["deployment"])["States"]
    assert "CanaryGroup" in states["DeployCanary"]["Parameters"]["group_arn"]
    assert "FleetGroup" in states["DeployFleet"]["Parameters"]["group_arn"]


def test_the_classifier_is_a_component_version_that_comes_and_goes_with_its_content(sandbox: Templates) -> None:
    deployment = sandbox["deployment"]
    (resource,) = [one for one in deployment["Resources"].values() if one["Type"].endswith("ComponentVersion")]
    recipe = json.loads(text(resource["Properties"]["InlineRecipe"]))
    used = only(deployment, "AWS::GreengrassV2::Deployment")["Components"]["reefloop.Classifier"]["ComponentVersion"]
    assert resource["DeletionPolicy"] == "Delete"
    assert recipe["ComponentVersion"] == used
    assert recipe["ComponentConfiguration"]["DefaultConfiguration"]["poll_seconds"] == 5
    assert len(json.dumps(recipe)) < 8000
    assert recipe["Manifests"][0]["Artifacts"][0]["Uri"].endswith(".zip")


def test_devices_hear_of_new_code_only_when_they_may_fetch_it(sandbox: Templates) -> None:
    deployment = sandbox["deployment"]["Resources"]
    (base,) = [one for one in deployment.values() if one["Type"] == "AWS::GreengrassV2::Deployment"]
    (policy,) = [name for name in deployment if "TokenExchangeRoleDefaultPolicy" in name]
    assert policy in base["DependsOn"]


def configuration(template: dict[str, Any]) -> dict[str, Any]:
    (component,) = resources(template, "AWS::GreengrassV2::ComponentVersion").values()
    recipe = json.loads(text(component["InlineRecipe"]))
    found: dict[str, Any] = recipe["ComponentConfiguration"]["DefaultConfiguration"]
    return found


@pytest.mark.parametrize("stage", ["laptop", "production"])
def test_a_device_is_told_what_the_settings_say_with_the_types_that_they_have(
    configured: Callable[[str], Templates], stage: str
) -> None:
    told, given = configuration(configured(stage)["deployment"]), Settings.load(stage).deployment
    assert {name: told[name] for name in given.of_devices} == given.of_devices
    assert {type(told[name]) for name in ("watch_list", "spool_mib", "source")} == {list, int, str}
    assert "DataBucket" in told["bucket"]


def test_the_classifier_cannot_take_the_whole_device(sandbox: Templates) -> None:
    deployment = only(sandbox["deployment"], "AWS::GreengrassV2::Deployment")
    limits = deployment["Components"]["reefloop.Classifier"]["RunWith"]["SystemResourceLimits"]
    assert limits == {"Cpus": 2, "Memory": 2 * 1024 * 1024}


# ---- The device's certificate ----------------------------------------------------------------------------------------


def device_policy(template: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = only(template, "AWS::IoT::Policy")["PolicyDocument"]["Statement"]
    return found


def test_the_policy_that_all_devices_share_lets_none_connect_speak_or_hear(sandbox: Templates) -> None:
    actions = {action for statement in device_policy(sandbox["deployment"]) for action in listed(statement["Action"])}
    assert {action for action in actions if action.startswith("iot:")} == {"iot:AssumeRoleWithCertificate"}


# ---- Records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "policy"), [("production", "Retain"), ("sandbox", "Delete"), ("laptop", "Delete")])
def test_records_can_be_recovered_expire_and_stay_where_data_stays(
    configured: Callable[[str], Templates], stage: str, policy: str
) -> None:
    template = configured(stage)["deployment"]
    (table,) = [one for one in template["Resources"].values() if one["Type"] == "AWS::DynamoDB::Table"]
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == policy
    properties = table["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    keys = {one["KeyType"]: one["AttributeName"] for one in properties["KeySchema"]}
    assert keys == {"HASH": "thing", "RANGE": "item"}


def test_every_kind_of_record_and_no_acknowledgement_goes_to_the_ingest_function(sandbox: Templates) -> None:
    template = sandbox["deployment"]
    rules = resources(template, "AWS::IoT::TopicRule")
    expected = {
        f"SELECT encode(*, 'base64') AS data, topic(2) AS thing FROM 'reefloop/+/{kind}'" for kind in contracts.RECORDS
    }
    assert {rule["TopicRulePayload"]["Sql"] for rule in rules.values()} == expected
    permitted = {
        text(one["SourceArn"])
        for one in resources(template, "AWS::Lambda::Permission").values()
        if one["Principal"] == "iot.amazonaws.com"
    }
    for name, rule in rules.items():
        (action,) = rule["TopicRulePayload"]["Actions"]
        assert "IngestFunction" in text(action["Lambda"]["FunctionArn"])
        assert rule["TopicRulePayload"]["AwsIotSqlVersion"] == "2016-03-23"
        assert f"<{name}.Arn>" in permitted
    assert len(permitted) == len(rules), "nobody else of AWS IoT may invoke it"


def actions_of(template: dict[str, Any], role: str) -> dict[str, list[str]]:
    """Action to the resources that a function may do it with, its log left out."""
    return {
        action: [text(one) for one in listed(statement["Resource"])]
        for statement in statements(template, role)
        for action in listed(statement["Action"])
        if not action.startswith("logs:")
    }


def test_the_ingest_function_writes_its_table_and_answers_devices_and_can_do_nothing_else(sandbox: Templates) -> None:
    found = actions_of(sandbox["deployment"], "IngestFunctionRole")
    assert set(found) == {
        "dynamodb:PutItem",
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "dynamodb:Query",
        "iot:Publish",
    }
    (topic,) = found.pop("iot:Publish")
    assert topic.endswith(":topic/reefloop/*/ack")
    assert {resource for resources in found.values() for resource in resources} == {found["dynamodb:PutItem"][0]}
    assert "RecordsTable" in found["dynamodb:PutItem"][0]


def test_what_failed_is_sent_again_by_the_device_and_not_by_lambda(sandbox: Templates) -> None:
    (config,) = resources(sandbox["deployment"], "AWS::Lambda::EventInvokeConfig").values()
    assert config["MaximumRetryAttempts"] == 0
    assert "IngestFunction" in text(config["FunctionName"])


def test_the_canaries_are_judged_by_a_function_that_reads_single_items_alone(sandbox: Templates) -> None:
    found = actions_of(sandbox["deployment"], "CheckFunctionRole")
    assert [action for action in found if action.startswith(("dynamodb:", "s3:"))] == ["dynamodb:GetItem"]


# ---- The canaries ----------------------------------------------------------------------------------------------------


def canary_pause(template: dict[str, Any]) -> int:
    return int(definition(template)["States"]["CanaryWait"]["Seconds"])


def test_canaries_may_take_days_and_the_execution_has_events_for_it(configured: Callable[[str], Templates]) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 25,000; a look is 9 of them."""
    template = configured("a mooring, people are told of alerts")["deployment"]
    days = int(only(template, "AWS::Lambda::Function", "Deploy")["Environment"]["Variables"]["CANARY_TIMEOUT_SECONDS"])
    assert days == 3 * 24 * 3600
    assert 9 * days / canary_pause(template) + 100 < 25_000 / 2


def test_canaries_that_have_an_hour_are_looked_at_as_often_as_anything_else(sandbox: Templates) -> None:
    assert canary_pause(sandbox["deployment"]) == Settings.load("sandbox").operations.poll_seconds


def test_canaries_go_back_whatever_kept_them_from_being_judged(sandbox: Templates) -> None:
    states = definition(sandbox["deployment"])["States"]
    [caught] = states["CheckCanary"]["Catch"]
    assert caught["ErrorEquals"] == ["States.ALL"]
    unknown = states[caught["Next"]]
    assert (unknown["Type"], unknown["ResultPath"], unknown["Next"]) == ("Pass", "$.health", "RollBack")
    assert unknown["Parameters"]["state"] == "failed"
    assert "$.error.Cause" in unknown["Parameters"]["reasons.$"]


def test_every_end_of_the_canaries_but_their_success_takes_the_model_back(sandbox: Templates) -> None:
    states = definition(sandbox["deployment"])["States"]
    passed, ended = states["CanaryDecide"]["Choices"]
    assert (passed["Next"], ended["Next"]) == ("DeployFleet", "RollBack")
    told = {state for choice in (passed, ended) for state in re.findall(r"'StringEquals': '(\w+)'", str(choice))}
    assert told | {"waiting"} == set(get_args(HealthState))
    assert states["RollBack"]["Next"] == "CanaryFailed"


def test_who_takes_a_model_back_may_change_its_approval_and_no_other_deployment_function_may(
    sandbox: Templates,
) -> None:
    template = sandbox["deployment"]
    assert "sagemaker:UpdateModelPackage" in actions_of(template, "RollBackFunctionRole")
    for role in ("Publish", "Deploy", "Check"):
        assert "sagemaker:UpdateModelPackage" not in actions_of(template, f"{role}FunctionRole")


def test_nobody_but_publish_deletes_a_component_and_that_one_the_model_only(sandbox: Templates) -> None:
    template = sandbox["deployment"]
    (arn,) = actions_of(template, "PublishFunctionRole")["greengrass:DeleteComponent"]
    assert arn.endswith(f":components:{contracts.MODEL_COMPONENT}*")
    for role in ("Deploy", "Check", "RollBack"):
        assert "greengrass:DeleteComponent" not in actions_of(template, f"{role}FunctionRole")


def test_devices_hear_of_new_code_only_when_somebody_listens_to_it(sandbox: Templates) -> None:
    template = sandbox["deployment"]
    (base,) = [one for one in template["Resources"].values() if one["Type"] == "AWS::GreengrassV2::Deployment"]
    assert set(resources(template, "AWS::IoT::TopicRule")) <= set(base["DependsOn"])


# ---- People ----------------------------------------------------------------------------------------------------------


def test_nobody_is_told_of_alerts_by_default(sandbox: Templates) -> None:
    assert not resources(sandbox["deployment"], "AWS::SNS::Topic")
    variables = only(sandbox["deployment"], "AWS::Lambda::Function", "Ingest")["Environment"]["Variables"]
    assert set(variables) == {"RECORDS_TABLE", "RECORDS_DAYS"}


def test_people_who_are_named_are_told_over_tls_by_the_ingest_function_alone(
    configured: Callable[[str], Templates],
) -> None:
    template = configured("a mooring, people are told of alerts")["deployment"]
    (subscription,) = resources(template, "AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "reef@example.org")
    (policy,) = resources(template, "AWS::SNS::TopicPolicy").values()
    (denial,) = policy["PolicyDocument"]["Statement"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    (topic,) = resources(template, "AWS::SNS::Topic")
    assert actions_of(template, "IngestFunctionRole")["sns:Publish"] == [f"<{topic}>"]
    variables = only(template, "AWS::Lambda::Function", "Ingest")["Environment"]["Variables"]
    assert text(variables["ALERTS_TOPIC"]) == f"<{topic}>"
