"""Stacks: order, values, exports, change and replacement, failure and rollback, and every resource type there is."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.cloudformation.resource import ResourceType
from offline.cloudformation.template import Scope, TemplateError, evaluate
from offline.cloudformation.types import TYPES

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
Resources = dict[str, Any]


class Stacks:
    """Stacks of one test, all deleted after it, the last made first."""

    def __init__(self, account: Account) -> None:
        self._api = account.client("cloudformation")
        self._names: list[str] = []

    def create(self, name: str, resources: Resources, **more: Any) -> dict[str, Any]:
        self._names.append(name)
        parameters = more.pop("parameters", [])
        self._api.create_stack(StackName=name, TemplateBody=_body(resources, more), Parameters=parameters)
        return self.describe(name)

    def update(self, name: str, resources: Resources, **more: Any) -> dict[str, Any]:
        parameters = more.pop("parameters", [])
        self._api.update_stack(StackName=name, TemplateBody=_body(resources, more), Parameters=parameters)
        return self.describe(name)

    def delete(self, name: str) -> str:
        """The status that the stack ends in."""
        stack = self.describe(name)["StackId"]
        self._api.delete_stack(StackName=name)
        return str(self.describe(stack)["StackStatus"])

    def describe(self, name: str) -> dict[str, Any]:
        stack: dict[str, Any] = self._api.describe_stacks(StackName=name)["Stacks"][0]
        stack["Values"] = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        return stack

    def ids(self, name: str) -> dict[str, str]:
        found = self._api.describe_stack_resources(StackName=name)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def story(self, name: str) -> list[tuple[str, str, str]]:
        """(logical id, status, reason) of every event, the oldest first."""
        events = self._api.describe_stack_events(StackName=name)["StackEvents"]
        return [
            (one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason", ""))
            for one in reversed(events)
        ]

    def failures(self, name: str) -> list[str]:
        """What went wrong, by logical id."""
        return [f"{logical_id}: {reason}" for logical_id, status, reason in self.story(name) if "FAILED" in status]

    def end(self) -> None:
        for name in reversed(self._names):
            self._api.delete_stack(StackName=name)


def _body(resources: Resources, more: dict[str, Any]) -> str:
    return json.dumps({"Resources": resources, **more})


@pytest.fixture
def stacks(account: Account) -> Iterator[Stacks]:
    stacks = Stacks(account)
    yield stacks
    stacks.end()


def _group(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, **properties}}


def _groups(account: Account) -> set[str]:
    return {group["logGroupName"] for group in account.client("logs").describe_log_groups()["logGroups"]}


def _recipe(version: str) -> str:
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "any.Component",
        "ComponentVersion": version,
        "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"run": "true"}}],
    }
    return json.dumps(recipe)


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
            "Third": _group("third") | {"DependsOn": "Second"},
            "Second": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Sub": "${First}-next"}}},
            "First": _group("first"),
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
    more = {**group, "More": _group("more")}
    stacks.update("parameters", more, Parameters=parameters, parameters=previous)
    assert stacks.ids("parameters")["Group"] == "kept"


# ---- Exports --------------------------------------------------------------------------------------------------------

EXPORT = {"Name": {"Value": {"Ref": "Group"}, "Export": {"Name": "producer:group"}}}


def test_an_export_reaches_the_stack_that_imports_it_and_outlives_it(account: Account, stacks: Stacks) -> None:
    stacks.create("producer", {"Group": _group("exported")}, Outputs=EXPORT)
    imported = {"Fn::Join": ["", [{"Fn::ImportValue": "producer:group"}, "-copy"]]}
    stacks.create("consumer", {"Copy": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": imported}}})
    assert "exported-copy" in _groups(account)
    assert stacks.delete("producer") == "CREATE_COMPLETE"
    assert stacks.story("producer")[-1][2] == "Export producer:group cannot be deleted as it is in use by consumer"
    assert stacks.update("producer", {"Group": _group("renamed")}, Outputs=EXPORT)["StackStatus"] == (
        "UPDATE_ROLLBACK_COMPLETE"
    )
    assert stacks.delete("consumer") == "DELETE_COMPLETE"
    assert stacks.delete("producer") == "DELETE_COMPLETE"
    assert account.client("cloudformation").list_exports()["Exports"] == []


# ---- Change ---------------------------------------------------------------------------------------------------------


def test_a_change_is_made_in_place_where_the_service_can(account: Account, stacks: Stacks) -> None:
    stacks.create("changed", {"Group": _group("stays", RetentionInDays=1)})
    stacks.update("changed", {"Group": _group("stays", RetentionInDays=7)})
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="stays")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [7]


def test_nothing_to_change_is_said(stacks: Stacks) -> None:
    stacks.create("same", {"Group": _group("same")})
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.update("same", {"Group": _group("same")})


def test_a_replaced_resource_is_removed_after_everything_that_refers_to_it_follows(
    account: Account, stacks: Stacks
) -> None:
    def resources(name: str) -> Resources:
        copy = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Sub": "${Group}-copy"}}}
        return {"Group": _group(name), "Copy": copy}

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
        return {"Component": component | {"Properties": {"InlineRecipe": _recipe(version)}}}

    stacks.create("component", resources("1.0.0"))
    arn = stacks.ids("component")["Component"].rpartition(":versions:")[0]
    stacks.update("component", resources("2.0.0"))
    greengrass = account.client("greengrassv2")
    versions = greengrass.list_component_versions(arn=arn)["componentVersions"]
    assert {version["componentVersion"] for version in versions} == left
    for version in left - {"2.0.0"}:
        greengrass.delete_component(arn=f"{arn}:versions:{version}")


def test_a_retained_resource_outlives_its_stack(account: Account, stacks: Stacks) -> None:
    stacks.create("retained", {"Group": _group("outlives") | {"DeletionPolicy": "Retain"}})
    assert stacks.delete("retained") == "DELETE_COMPLETE"
    assert "outlives" in _groups(account)


# ---- Failure --------------------------------------------------------------------------------------------------------


def test_an_unknown_type_fails_before_anything_is_made(account: Account, stacks: Stacks) -> None:
    stack = stacks.create("unknown", {"Group": _group("never-made"), "Cluster": {"Type": "AWS::ECS::Cluster"}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reasons = [reason for name, status, reason in stacks.story("unknown") if status == "CREATE_FAILED"]
    assert reasons == ["the offline account has no resource type AWS::ECS::Cluster"]
    assert "never-made" not in _groups(account)


def test_an_unknown_property_fails_its_resource(stacks: Stacks) -> None:
    stacks.create("property", {"Group": _group("any", DataProtectionPolicy={})})
    assert "does not know property DataProtectionPolicy" in stacks.story("property")[2][2]


def test_a_failure_while_creating_takes_everything_back(account: Account, stacks: Stacks) -> None:
    account.faults.refuse("iam:CreateRole", "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000")
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}, "DependsOn": "Group"}
    stack = stacks.create("failing", {"Group": _group("taken-back"), "Role": role})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("Cannot exceed quota for RolesPerAccount" in reason for _, _, reason in stacks.story("failing"))
    assert "taken-back" not in _groups(account)


def test_a_failure_while_updating_puts_everything_back(account: Account, stacks: Stacks) -> None:
    stacks.create("steady", {"Group": _group("steady", RetentionInDays=1), "Old": _group("old")})
    account.faults.refuse("iam:CreateRole", "LimitExceeded", "Cannot exceed quota")
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}, "DependsOn": ["Group", "New"]}
    wanted = {"Group": _group("steady", RetentionInDays=7), "New": _group("new"), "Role": role}
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
    resources = {"A": _group("a") | {"DependsOn": "B"}, "B": _group("b") | {"DependsOn": "A"}}
    assert stacks.create("circle", resources)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Circular dependency between resources" in stacks.story("circle")[1][2]


# ---- Every type -----------------------------------------------------------------------------------------------------

EVERYTHING: Resources = {
    "Bucket": {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "VersioningConfiguration": {"Status": "Enabled"},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": True},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 10}]},
            "LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "ExpirationInDays": 3}]},
            "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            "Tags": [{"Key": "stage", "Value": "labeling"}],
        },
    },
    "BucketPolicy": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    },
    "Group": _group("everything", RetentionInDays=7),
    "Parameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/any", "Type": "String", "Value": "1"}},
    "Metadata": {"Type": "AWS::CDK::Metadata"},
    "Role": {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": TRUST,
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
            "Policies": [{"PolicyName": "inline", "PolicyDocument": POLICY}],
        },
    },
    "Policy": {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": "its", "PolicyDocument": POLICY, "Roles": [{"Ref": "Role"}]},
    },
    "ManagedPolicy": {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": POLICY, "Roles": [{"Ref": "Role"}]},
    },
    "Function": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": "def handler(event, context): return event"},
            "Timeout": "30",
            "ReservedConcurrentExecutions": 2,
            "Environment": {"Variables": {"BUCKET": {"Ref": "Bucket"}}},
        },
    },
    "Permission": {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "FunctionName": {"Ref": "Function"},
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
        },
    },
    "Machine": {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            "DefinitionString": json.dumps(
                {"StartAt": "Say", "States": {"Say": {"Type": "Pass", "Result": "${Word}", "End": True}}}
            ),
            "DefinitionSubstitutions": {"Word": {"Ref": "Group"}},
            "LoggingConfiguration": {
                "Level": "ALL",
                "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["Group", "Arn"]}}}],
            },
        },
    },
    "Repository": {
        "Type": "AWS::ECR::Repository",
        "Properties": {
            "EmptyOnDelete": True,
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "ImageTagMutability": "IMMUTABLE",
            "LifecyclePolicy": {
                "LifecyclePolicyText": json.dumps(
                    {
                        "rules": [
                            {
                                "rulePriority": 1,
                                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
                                "action": {"type": "expire"},
                            }
                        ]
                    }
                )
            },
        },
    },
    "Project": {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {
            "ServiceRole": {"Fn::GetAtt": ["Role", "Arn"]},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Source": {"Type": "S3", "Location": "any-bucket/source.zip", "BuildSpec": "version: '0.2'"},
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "Image": "aws/codebuild/standard:7.0",
                "EnvironmentVariables": [{"Name": "REPOSITORY", "Value": {"Ref": "Repository"}}],
            },
        },
    },
    "Packages": {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {"ModelPackageGroupName": "every-model"},
    },
    "Pool": {"Type": "AWS::Cognito::UserPool", "Properties": {"AutoVerifiedAttributes": ["email"]}},
    "Domain": {
        "Type": "AWS::Cognito::UserPoolDomain",
        "Properties": {"Domain": "everything", "UserPoolId": {"Ref": "Pool"}},
    },
    "Client": {
        "Type": "AWS::Cognito::UserPoolClient",
        "Properties": {"UserPoolId": {"Ref": "Pool"}, "GenerateSecret": True},
    },
    "PoolGroup": {
        "Type": "AWS::Cognito::UserPoolGroup",
        "Properties": {"UserPoolId": {"Ref": "Pool"}, "GroupName": "labelers"},
    },
    "Workforce": {
        "Type": "AWS::SageMaker::Workforce",
        "DependsOn": "Domain",
        "Properties": {"CognitoConfig": {"UserPool": {"Ref": "Pool"}, "ClientId": {"Ref": "Client"}}},
    },
    "Workteam": {
        "Type": "AWS::SageMaker::Workteam",
        "DependsOn": "Workforce",
        "Properties": {
            "WorkteamName": "labelers",
            "Description": "people",
            "MemberDefinitions": [
                {
                    "CognitoMemberDefinition": {
                        "CognitoUserPool": {"Ref": "Pool"},
                        "CognitoUserGroup": {"Ref": "PoolGroup"},
                        "CognitoClientId": {"Ref": "Client"},
                    }
                }
            ],
        },
    },
    "ThingGroup": {
        "Type": "AWS::IoT::ThingGroup",
        "Properties": {"ThingGroupName": "reef", "ThingGroupProperties": {"ThingGroupDescription": "cameras"}},
    },
    "ThingPolicy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": POLICY}},
    "RoleAlias": {"Type": "AWS::IoT::RoleAlias", "Properties": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}},
    "Component": {"Type": "AWS::GreengrassV2::ComponentVersion", "Properties": {"InlineRecipe": _recipe("1.2.3")}},
    "Deployment": {
        "Type": "AWS::GreengrassV2::Deployment",
        "Properties": {
            "TargetArn": {"Fn::GetAtt": ["ThingGroup", "Arn"]},
            "DeploymentName": "base",
            "Components": {
                "any.Component": {
                    "ComponentVersion": {"Fn::GetAtt": ["Component", "ComponentVersion"]},
                    "ConfigurationUpdate": {"Merge": '{"Frames": 1}'},
                }
            },
        },
    },
}

# Type → how the service itself lists what there is of it.
LISTS: dict[str, Callable[[Account], Any]] = {
    "AWS::S3::Bucket": lambda account: account.client("s3").list_buckets()["Buckets"],
    "AWS::Logs::LogGroup": lambda account: account.client("logs").describe_log_groups()["logGroups"],
    "AWS::SSM::Parameter": lambda account: account.client("ssm").describe_parameters()["Parameters"],
    "AWS::IAM::Role": lambda account: account.client("iam").list_roles()["Roles"],
    "AWS::IAM::ManagedPolicy": lambda account: account.client("iam").list_policies(Scope="Local")["Policies"],
    "AWS::Lambda::Function": lambda account: account.client("lambda").list_functions()["Functions"],
    "AWS::StepFunctions::StateMachine": lambda account: account.client("stepfunctions").list_state_machines()[
        "stateMachines"
    ],
    "AWS::ECR::Repository": lambda account: account.client("ecr").describe_repositories()["repositories"],
    "AWS::CodeBuild::Project": lambda account: account.client("codebuild").list_projects()["projects"],
    "AWS::SageMaker::ModelPackageGroup": lambda account: account.client("sagemaker").list_model_package_groups()[
        "ModelPackageGroupSummaryList"
    ],
    "AWS::Cognito::UserPool": lambda account: account.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"],
    "AWS::SageMaker::Workforce": lambda account: account.client("sagemaker").list_workforces()["Workforces"],
    "AWS::SageMaker::Workteam": lambda account: account.client("sagemaker").list_workteams()["Workteams"],
    "AWS::IoT::ThingGroup": lambda account: account.client("iot").list_thing_groups()["thingGroups"],
    "AWS::IoT::Policy": lambda account: account.client("iot").list_policies()["policies"],
    "AWS::IoT::RoleAlias": lambda account: account.client("iot").list_role_aliases()["roleAliases"],
    "AWS::GreengrassV2::ComponentVersion": lambda account: account.client("greengrassv2").list_components()[
        "components"
    ],
    "AWS::GreengrassV2::Deployment": lambda account: account.client("greengrassv2").list_deployments()["deployments"],
}


def test_every_type_is_made_in_its_service_and_removed_again(account: Account, stacks: Stacks) -> None:
    assert {resource["Type"] for resource in EVERYTHING.values()} == set(TYPES)
    before = {kind: len(listed(account)) for kind, listed in LISTS.items()}
    stack = stacks.create("everything", EVERYTHING)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.failures("everything")
    assert all(stacks.ids("everything").values())
    made = {kind: len(listed(account)) - before[kind] for kind, listed in LISTS.items()}
    assert made == dict.fromkeys(LISTS, 1)
    assert stacks.delete("everything") == "DELETE_COMPLETE"
    assert {kind: len(listed(account)) for kind, listed in LISTS.items()} == before


@pytest.mark.parametrize("name", TYPES)
def test_a_type_either_changes_in_place_or_is_always_replaced(name: str) -> None:
    changes_in_place = type(TYPES[name]).update is not ResourceType.update
    assert changes_in_place == (TYPES[name].replaced_by is not None)


def test_a_change_of_every_type_that_can_change_in_place_keeps_its_physical_id(stacks: Stacks) -> None:
    changed = json.loads(json.dumps(EVERYTHING))
    other = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
    changes: dict[str, dict[str, Any]] = {
        "Bucket": {"LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "ExpirationInDays": 9}]}},
        "BucketPolicy": {"PolicyDocument": other | {"Statement": []}, "Bucket": {"Ref": "Bucket"}},
        "Group": {"RetentionInDays": 30},
        "Parameter": {"Value": "2"},
        "Role": {"Description": "another", "ManagedPolicyArns": [], "Policies": []},
        "Policy": {"PolicyDocument": other},
        "ManagedPolicy": {"PolicyDocument": other},
        "Function": {"Timeout": 60, "Code": {"ZipFile": "def handler(event, context): return 1"}},
        "Machine": {"DefinitionSubstitutions": {"Word": "another"}},
        "Repository": {"ImageTagMutability": "MUTABLE"},
        "Project": {"TimeoutInMinutes": 30},
        "Pool": {"EmailVerificationSubject": "another"},
        "Client": {"RefreshTokenValidity": 7},
        "PoolGroup": {"Description": "another"},
        "Workteam": {"Description": "others"},
        "ThingGroup": {"ThingGroupProperties": {"ThingGroupDescription": "others"}},
        "ThingPolicy": {"PolicyDocument": other},
        "RoleAlias": {"CredentialDurationSeconds": 900},
    }
    for name, properties in changes.items():
        changed[name]["Properties"].update(properties)
    stacks.create("everything", EVERYTHING)
    before = stacks.ids("everything")
    assert stacks.update("everything", changed)["StackStatus"] == "UPDATE_COMPLETE", stacks.failures("everything")
    assert stacks.ids("everything") == before


def test_a_machine_made_by_a_stack_executes_with_its_substitutions(account: Account, stacks: Stacks) -> None:
    stacks.create("machine", {name: EVERYTHING[name] for name in ("Machine", "Role", "Group")})
    step_functions = account.client("stepfunctions")
    arn = stacks.ids("machine")["Machine"]
    assert step_functions.describe_state_machine(stateMachineArn=arn)["loggingConfiguration"]["level"] == "ALL"
    execution = step_functions.start_execution(stateMachineArn=arn)["executionArn"]
    for _ in range(100):
        answer = step_functions.describe_execution(executionArn=execution)
        if answer["status"] != "RUNNING":
            break
        time.sleep(0.05)
    assert json.loads(answer["output"]) == "everything"
