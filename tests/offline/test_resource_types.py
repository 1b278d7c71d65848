"""Every resource type is made in its service, changed there, and removed again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from offline.account import Account
from offline.cloudformation.resource import ResourceType
from offline.cloudformation.types import TYPES
from tests.offline.bench import until
from tests.offline.stack_driver import TRUST, Resources, Stacks, log_group, recipe

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}

TABLE = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
RECOVERABLE = {"PointInTimeRecoveryEnabled": True}

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
            "LifecycleConfiguration": {
                "Rules": [
                    {"Id": "old", "Status": "Enabled", "ExpirationInDays": 3},
                    {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
                ]
            },
            "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            "Tags": [{"Key": "stage", "Value": "labeling"}],
        },
    },
    "BucketPolicy": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    },
    "Group": log_group("everything", RetentionInDays=7),
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
    "Events": {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 0},
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
    "Component": {"Type": "AWS::GreengrassV2::ComponentVersion", "Properties": {"InlineRecipe": recipe("1.2.3")}},
    "Deployment": {
        "Type": "AWS::GreengrassV2::Deployment",
        "Properties": {
            "TargetArn": {"Fn::GetAtt": ["ThingGroup", "Arn"]},
            "DeploymentName": "base",
            "Components": {
                "any.Component": {
                    "ComponentVersion": {"Fn::GetAtt": ["Component", "ComponentVersion"]},
                    "ConfigurationUpdate": {"Merge": '{"Frames": 1}'},
                    "RunWith": {"SystemResourceLimits": {"Cpus": 1.5, "Memory": 1024}},
                }
            },
        },
    },
    "Rule": {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "EventPattern": {
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Model Package State Change"],
            },
            "Targets": [{"Id": "any", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}}],
        },
    },
    "TopicRule": {
        "Type": "AWS::IoT::TopicRule",
        "Properties": {
            "TopicRulePayload": {
                "Sql": "SELECT * FROM 'any/+'",
                "AwsIotSqlVersion": "2016-03-23",
                "Actions": [{"Lambda": {"FunctionArn": {"Fn::GetAtt": ["Function", "Arn"]}}}],
            },
            "Tags": [{"Key": "stage", "Value": "any"}],
        },
    },
    "Table": {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            **TABLE,
            "SSESpecification": {"SSEEnabled": "true"},
            "PointInTimeRecoverySpecification": RECOVERABLE,
            "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True},
            "Tags": [{"Key": "stage", "Value": "any"}],
        },
    },
    "GlobalTable": {
        "Type": "AWS::DynamoDB::GlobalTable",
        "Properties": {**TABLE, "Replicas": [{"Region": "us-east-1", "DeletionProtectionEnabled": "false"}]},
    },
    "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/24", "EnableDnsHostnames": True}},
    "Subnet": {
        "Type": "AWS::EC2::Subnet",
        "Properties": {
            "VpcId": {"Ref": "Network"},
            "CidrBlock": "10.0.0.0/24",
            "AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
            "MapPublicIpOnLaunch": True,
            "Tags": [{"Key": "Name", "Value": "one"}],
        },
    },
    "Gateway": {"Type": "AWS::EC2::InternetGateway", "Properties": {}},
    "Attachment": {
        "Type": "AWS::EC2::VPCGatewayAttachment",
        "Properties": {"VpcId": {"Ref": "Network"}, "InternetGatewayId": {"Ref": "Gateway"}},
    },
    "Routes": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Network"}}},
    "RoutesOfSubnet": {
        "Type": "AWS::EC2::SubnetRouteTableAssociation",
        "Properties": {"RouteTableId": {"Ref": "Routes"}, "SubnetId": {"Ref": "Subnet"}},
    },
    "Route": {
        "Type": "AWS::EC2::Route",
        "DependsOn": "Attachment",
        "Properties": {
            "RouteTableId": {"Ref": "Routes"},
            "DestinationCidrBlock": "0.0.0.0/0",
            "GatewayId": {"Ref": "Gateway"},
        },
    },
    "SecurityGroup": {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": "any",
            "VpcId": {"Ref": "Network"},
            "SecurityGroupEgress": [{"IpProtocol": "tcp", "FromPort": "443", "ToPort": 443, "CidrIp": "0.0.0.0/0"}],
        },
    },
    "Template": {
        "Type": "AWS::EC2::LaunchTemplate",
        "Properties": {"LaunchTemplateData": {"ImageId": "resolve:ssm:/aws/service/any/ami-id"}},
    },
    "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
    "Instance": {
        "Type": "AWS::EC2::Instance",
        "Properties": {
            "LaunchTemplate": {
                "LaunchTemplateId": {"Ref": "Template"},
                "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
            },
            "InstanceType": "g5.xlarge",
            "IamInstanceProfile": {"Ref": "Profile"},
            "SubnetId": {"Ref": "Subnet"},
            "SecurityGroupIds": [{"Ref": "SecurityGroup"}],
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": "100", "Encrypted": True}}],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "PropagateTagsToVolumeOnCreation": True,
            "Tags": [{"Key": "stage", "Value": "any"}],
            "UserData": {"Fn::Base64": "#!/bin/sh"},
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
    "AWS::Events::Rule": lambda account: account.client("events").list_rules()["Rules"],
    "AWS::IoT::TopicRule": lambda account: account.client("iot").list_topic_rules()["rules"],
    "AWS::DynamoDB::Table": lambda account: tables(account, "everything-Table"),
    "AWS::DynamoDB::GlobalTable": lambda account: tables(account, "everything-GlobalTable"),
    "AWS::EC2::VPC": lambda account: account.client("ec2").describe_vpcs()["Vpcs"],
    "AWS::EC2::Subnet": lambda account: account.client("ec2").describe_subnets()["Subnets"],
    "AWS::EC2::InternetGateway": lambda account: account.client("ec2").describe_internet_gateways()["InternetGateways"],
    "AWS::EC2::LaunchTemplate": lambda account: account.client("ec2").describe_launch_templates()["LaunchTemplates"],
    "AWS::EC2::Instance": lambda account: living_instances(account),
    "AWS::IAM::InstanceProfile": lambda account: account.client("iam").list_instance_profiles()["InstanceProfiles"],
}


def tables(account: Account, beginning: str) -> list[str]:
    return [name for name in account.client("dynamodb").list_tables()["TableNames"] if name.startswith(beginning)]


def living_instances(account: Account) -> list[Any]:
    """EC2 goes on telling of a terminated instance for a while."""
    found = account.client("ec2").describe_instances()["Reservations"]
    return [one for group in found for one in group["Instances"] if one["State"]["Name"] != "terminated"]


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
        "Events": {"MaximumRetryAttempts": "0"},
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
        "Rule": {"Description": "another", "Targets": []},
        "TopicRule": {"TopicRulePayload": {**EVERYTHING["TopicRule"]["Properties"]["TopicRulePayload"], "Actions": []}},
        "Table": {"TimeToLiveSpecification": {"AttributeName": "until", "Enabled": False}},
        "GlobalTable": {"Replicas": [{"Region": "us-east-1", "PointInTimeRecoverySpecification": RECOVERABLE}]},
        "Network": {"EnableDnsHostnames": False},
        "Subnet": {"Tags": [{"Key": "Name", "Value": "another"}], "MapPublicIpOnLaunch": False},
        "Gateway": {"Tags": [{"Key": "Name", "Value": "another"}]},
        "Routes": {"Tags": [{"Key": "Name", "Value": "another"}]},
        "SecurityGroup": {"SecurityGroupEgress": [], "Tags": [{"Key": "Name", "Value": "another"}]},
        "Instance": {
            "InstanceType": "g6.xlarge",
            "UserData": {"Fn::Base64": "#!/bin/bash"},
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            "InstanceInitiatedShutdownBehavior": "terminate",
            "Tags": [],
        },
    }
    for name, properties in changes.items():
        changed[name]["Properties"].update(properties)
    stacks.create("everything", EVERYTHING)
    before = stacks.ids("everything")
    assert stacks.update("everything", changed)["StackStatus"] == "UPDATE_COMPLETE", stacks.failures("everything")
    assert stacks.ids("everything") == before
    assert stacks.delete("everything") == "DELETE_COMPLETE"


def test_a_machine_made_by_a_stack_executes_with_its_substitutions(account: Account, stacks: Stacks) -> None:
    stacks.create("machine", {name: EVERYTHING[name] for name in ("Machine", "Role", "Group")})
    step_functions = account.client("stepfunctions")
    arn = stacks.ids("machine")["Machine"]
    assert step_functions.describe_state_machine(stateMachineArn=arn)["loggingConfiguration"]["level"] == "ALL"
    execution = step_functions.start_execution(stateMachineArn=arn)["executionArn"]
    answer = until(
        lambda: step_functions.describe_execution(executionArn=execution), lambda seen: seen["status"] != "RUNNING"
    )
    assert json.loads(answer["output"]) == "everything"


@pytest.mark.parametrize("given", [{"MaximumRetryAttempts": 1}, {}, {"MaximumRetryAttempts": 0, "Qualifier": "1"}])
def test_a_function_whose_failed_events_are_to_be_tried_again_is_refused(stacks: Stacks, given: dict[str, Any]) -> None:
    resources = {name: EVERYTHING[name] for name in ("Function", "Role", "Bucket")}
    properties = {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", **given}
    stacks.create(
        "retried", {**resources, "Events": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": properties}}
    )
    assert any("here" in reason for reason in stacks.failures("retried")), stacks.failures("retried")
    assert stacks.delete("retried") == "DELETE_COMPLETE"
