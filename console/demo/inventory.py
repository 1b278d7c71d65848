"""Everything an account has, by kind: after the destruction it must be what it was before the deployment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from console.clients import Clients

Inventory = Mapping[str, frozenset[str]]
"""Kind of resource to the names of all there are."""


@dataclass(frozen=True)
class _Listing:
    """One list operation. `name` is the key of each item's name, or "" where items are names."""

    kind: str
    service: str
    operation: str
    items: str
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def read(self, clients: Clients) -> frozenset[str]:
        client = clients(self.service)
        if client.can_paginate(self.operation):
            pages = client.get_paginator(self.operation).paginate(**self.parameters)
        else:
            pages = [getattr(client, self.operation)(**self.parameters)]
        found = [item for page in pages for item in page.get(self.items) or []]
        return frozenset(str(item[self.name] if self.name else item) for item in found)


_LISTINGS: Final = (
    _Listing("CloudFormation stack", "cloudformation", "describe_stacks", "Stacks", "StackName"),
    _Listing("S3 bucket", "s3", "list_buckets", "Buckets", "Name"),
    _Listing("IAM role", "iam", "list_roles", "Roles", "RoleName"),
    _Listing("IAM policy", "iam", "list_policies", "Policies", "PolicyName", {"Scope": "Local"}),
    _Listing("Lambda function", "lambda", "list_functions", "Functions", "FunctionName"),
    _Listing("state machine", "stepfunctions", "list_state_machines", "stateMachines", "name"),
    _Listing("log group", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    _Listing("SSM parameter", "ssm", "describe_parameters", "Parameters", "Name"),
    _Listing("ECR repository", "ecr", "describe_repositories", "repositories", "repositoryName"),
    _Listing("CodeBuild project", "codebuild", "list_projects", "projects"),
    _Listing("Cognito user pool", "cognito-idp", "list_user_pools", "UserPools", "Name", {"MaxResults": 60}),
    _Listing("workforce", "sagemaker", "list_workforces", "Workforces", "WorkforceName"),
    _Listing("workteam", "sagemaker", "list_workteams", "Workteams", "WorkteamName"),
    _Listing(
        "model package group",
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
    _Listing("SageMaker model", "sagemaker", "list_models", "Models", "ModelName"),
    _Listing("endpoint configuration", "sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    _Listing("endpoint", "sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    _Listing("DynamoDB table", "dynamodb", "list_tables", "TableNames"),
    _Listing("topic rule", "iot", "list_topic_rules", "rules", "ruleName"),
    _Listing("thing", "iot", "list_things", "things", "thingName"),
    _Listing("thing group", "iot", "list_thing_groups", "thingGroups", "groupName"),
    _Listing("certificate", "iot", "list_certificates", "certificates", "certificateId"),
    _Listing("IoT policy", "iot", "list_policies", "policies", "policyName"),
    _Listing("role alias", "iot", "list_role_aliases", "roleAliases"),
    _Listing(
        "Greengrass component",
        "greengrassv2",
        "list_components",
        "components",
        "componentName",
        {"scope": "PRIVATE"},
    ),
    _Listing("core device", "greengrassv2", "list_core_devices", "coreDevices", "coreDeviceThingName"),
    _Listing(
        "Greengrass deployment",
        "greengrassv2",
        "list_deployments",
        "deployments",
        "deploymentId",
        {"historyFilter": "ALL"},
    ),
)


def take(clients: Clients) -> Inventory:
    """What there is of every kind."""
    return {listing.kind: listing.read(clients) for listing in _LISTINGS}


def leftovers(before: Inventory, after: Inventory) -> list[str]:
    """What is there now and was not before, a line each."""
    return [f"{kind} {name}" for kind in after for name in sorted(after[kind] - before[kind])]
