"""Stacks: order, values, exports, change and replacement, failure and rollback."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.cloudformation.template import Scope, TemplateError, evaluate
from tests.offline.stack_driver import TRUST, Resources, Stacks, log_group, recipe


def _groups(account: Account) -> set[str]:
    return {group["logGroupName"] for group in account.client("logs").describe_log_groups()["logGroups"]}


# ---- Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "given"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, 3]]}, "a-given-3"),
        ({"Fn::Sub": "${Name}/${Thing.Arn}/${!Literal}"}, "given/Thing's Arn/${Literal}"),
        ({"Fn::Sub": ["${own}-${Name}", {"own": {"Ref": "Name"}}]}, "given-given"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "x,y"]}]}, "y"),
        ({"Fn::If": ["IsGiven", "yes", "no"]}, "yes"),
        ({"a": {"Fn::If": ["IsGiven", {"Ref": "AWS::NoValue"}, 1]}, "b": 2}, {"b": 2}),
        ({"Fn::FindInMap": ["Map", "first", {"Ref": "Name"}]}, "found"),
        ({"Fn::Base64": "text"}, "dGV4dA=="),
        ({"Fn::ToJsonString": {"a": {"Ref": "Name"}}}, '{"a": "given"}'),
    ],
)
def test_an_intrinsic_function_gives_its_value(value: Any, expected: Any) -> None:
    scope = Scope(
        parameters={"Name": "given"},
        pseudo={"AWS::Region": "us-east-1"},
        mappings={"Map": {"first": {"given": "found"}}},
        conditions={"IsGiven": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Name"}, ""]}]}},
        attribute=lambda logical_id, name: f"{logical_id}'s {name}",
    )
    assert evaluate(value, scope) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Fn::Cidr": ["10.0.0.0/8", 1, 8]}, "does not know the function Fn::Cidr"),
        ({"Ref": "Nobody"}, r"Unresolved resource dependencies \[Nobody\]"),
        ({"Fn::ImportValue": "nothing"}, "No export named nothing found"),
        ("{{resolve:secretsmanager:secret}}", "does not resolve dynamic references"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_and_not_passed_on(value: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        evaluate(value, Scope(parameters={}, pseudo={}))


def test_resources_are_made_behind_those_that_they_refer_to(stacks: Stacks) -> None:
    stacks.create(
        "ordered",
        {
            "Third": log_group("third") | {"DependsOn": "Second"},
            "Second": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Sub": "${First}-next"}}},
            "First": log_group("first"),
        },
        Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Second", "Arn"]}}},
    )
    made = [name for name, status, _ in stacks.story("ordered") if status == "CREATE_COMPLETE"]
    assert made == ["First", "Second", "Third", "ordered"]
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:first-next:*"
    assert stacks.describe("ordered")["Values"] == {"Arn": arn}


def test_a_template_in_yaml_with_short_forms_is_read(account: Account) -> None:
    template = """
Parameters: {Name: {Type: String, Default: from-yaml}}
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub "${Name}-group"}
"""
    api = account.client("cloudformation")
    api.create_stack(StackName="yaml", TemplateBody=template)
    assert "from-yaml-group" in _groups(account)
    api.delete_stack(StackName="yaml")


def test_a_parameter_keeps_its_previous_value_when_asked(stacks: Stacks) -> None:
    parameters = {"Name": {"Type": "String"}, "Bootstrap": {"Type": "String", "Default": "21"}}
    group = {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Ref": "Name"}}}}
    given = [{"ParameterKey": "Name", "ParameterValue": "kept"}]
    stacks.create("parameters", group, Parameters=parameters, parameters=given)
    previous = [{"ParameterKey": name, "UsePreviousValue": True} for name in ("Name", "Bootstrap")]
    more = {**group, "More": log_group("more")}
    stacks.update("parameters", more, Parameters=parameters, parameters=previous)
    assert stacks.ids("parameters")["Group"] == "kept"


# ---- Exports --------------------------------------------------------------------------------------------------------

EXPORT = {"Name": {"Value": {"Ref": "Group"}, "Export": {"Name": "producer:group"}}}


def test_an_export_reaches_the_stack_that_imports_it_and_outlives_it(account: Account, stacks: Stacks) -> None:
    stacks.create("producer", {"Group": log_group("exported")}, Outputs=EXPORT)
    imported = {"Fn::Join": ["", [{"Fn::ImportValue": "producer:group"}, "-copy"]]}
    stacks.create("consumer", {"Copy": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": imported}}})
    assert "exported-copy" in _groups(account)
    assert stacks.delete("producer") == "CREATE_COMPLETE"
    assert stacks.story("producer")[-1][2] == "Export producer:group cannot be deleted as it is in use by consumer"
    assert stacks.update("producer", {"Group": log_group("renamed")}, Outputs=EXPORT)["StackStatus"] == (
        "UPDATE_ROLLBACK_COMPLETE"
    )
    assert stacks.delete("consumer") == "DELETE_COMPLETE"
    assert stacks.delete("producer") == "DELETE_COMPLETE"
    assert account.client("cloudformation").list_exports()["Exports"] == []


# ---- Change ---------------------------------------------------------------------------------------------------------


def test_a_change_is_made_in_place_where_the_service_can(account: Account, stacks: Stacks) -> None:
    stacks.create("changed", {"Group": log_group("stays", RetentionInDays=1)})
    stacks.update("changed", {"Group": log_group("stays", RetentionInDays=7)})
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="stays")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [7]


def test_nothing_to_change_is_said(stacks: Stacks) -> None:
    stacks.create("same", {"Group": log_group("same")})
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.update("same", {"Group": log_group("same")})


def test_a_replaced_resource_is_removed_after_everything_that_refers_to_it_follows(
    account: Account, stacks: Stacks
) -> None:
    def resources(name: str) -> Resources:
        copy = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Sub": "${Group}-copy"}}}
        return {"Group": log_group(name), "Copy": copy}

    stacks.create("replaced", resources("before"))
    stacks.update("replaced", resources("after"))
    assert _groups(account) >= {"after", "after-copy"}
    assert not _groups(account) & {"before", "before-copy"}
    story = [(name, status) for name, status, _ in stacks.story("replaced")]
    assert story.index(("Copy", "UPDATE_COMPLETE")) < story.index(("Group", "DELETE_IN_PROGRESS"))


@pytest.mark.parametrize(("policy", "left"), [("Delete", {"2.0.0"}), ("Retain", {"1.0.0", "2.0.0"})])
def test_another_recipe_is_another_component_version_and_the_old_one_goes_unless_retained(
    account: Account, stacks: Stacks, policy: str, left: set[str]
) -> None:
    def resources(version: str) -> Resources:
        component = {"Type": "AWS::GreengrassV2::ComponentVersion", "UpdateReplacePolicy": policy}
        return {"Component": component | {"Properties": {"InlineRecipe": recipe(version)}}}

    stacks.create("component", resources("1.0.0"))
    arn = stacks.ids("component")["Component"].rpartition(":versions:")[0]
    stacks.update("component", resources("2.0.0"))
    greengrass = account.client("greengrassv2")
    versions = greengrass.list_component_versions(arn=arn)["componentVersions"]
    assert {version["componentVersion"] for version in versions} == left
    for version in left - {"2.0.0"}:
        greengrass.delete_component(arn=f"{arn}:versions:{version}")


def test_a_retained_resource_outlives_its_stack(account: Account, stacks: Stacks) -> None:
    stacks.create("retained", {"Group": log_group("outlives") | {"DeletionPolicy": "Retain"}})
    assert stacks.delete("retained") == "DELETE_COMPLETE"
    assert "outlives" in _groups(account)


# ---- Failure --------------------------------------------------------------------------------------------------------


def test_an_unknown_type_fails_before_anything_is_made(account: Account, stacks: Stacks) -> None:
    stack = stacks.create("unknown", {"Group": log_group("never-made"), "Cluster": {"Type": "AWS::ECS::Cluster"}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reasons = [reason for name, status, reason in stacks.story("unknown") if status == "CREATE_FAILED"]
    assert reasons == ["the offline account has no resource type AWS::ECS::Cluster"]
    assert "never-made" not in _groups(account)


def test_an_unknown_property_fails_its_resource(stacks: Stacks) -> None:
    stacks.create("property", {"Group": log_group("any", DataProtectionPolicy={})})
    assert "does not know property DataProtectionPolicy" in stacks.story("property")[2][2]


def test_a_failure_while_creating_takes_everything_back(account: Account, stacks: Stacks) -> None:
    account.faults.refuse("iam:CreateRole", "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000")
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}, "DependsOn": "Group"}
    stack = stacks.create("failing", {"Group": log_group("taken-back"), "Role": role})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("Cannot exceed quota for RolesPerAccount" in reason for _, _, reason in stacks.story("failing"))
    assert "taken-back" not in _groups(account)


def test_a_failure_while_updating_puts_everything_back(account: Account, stacks: Stacks) -> None:
    stacks.create("steady", {"Group": log_group("steady", RetentionInDays=1), "Old": log_group("old")})
    account.faults.refuse("iam:CreateRole", "LimitExceeded", "Cannot exceed quota")
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}, "DependsOn": ["Group", "New"]}
    wanted = {"Group": log_group("steady", RetentionInDays=7), "New": log_group("new"), "Role": role}
    assert stacks.update("steady", wanted)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert _groups(account) >= {"steady", "old"}
    assert "new" not in _groups(account)
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="steady")["logGroups"]
    assert groups[0]["retentionInDays"] == 1
    stacks.update("steady", wanted)
    assert stacks.describe("steady")["StackStatus"] == "UPDATE_COMPLETE"


def test_a_bucket_that_is_not_empty_fails_the_deletion(account: Account, stacks: Stacks) -> None:
    stacks.create("full", {"Bucket": {"Type": "AWS::S3::Bucket"}})
    bucket = stacks.ids("full")["Bucket"]
    account.client("s3").put_object(Bucket=bucket, Key="key", Body=b"")
    assert stacks.delete("full") == "DELETE_FAILED"
    account.client("s3").delete_object(Bucket=bucket, Key="key")
    assert stacks.delete("full") == "DELETE_COMPLETE"


def test_resources_that_need_each_other_are_refused(stacks: Stacks) -> None:
    resources = {"A": log_group("a") | {"DependsOn": "B"}, "B": log_group("b") | {"DependsOn": "A"}}
    assert stacks.create("circle", resources)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Circular dependency between resources" in stacks.story("circle")[1][2]
