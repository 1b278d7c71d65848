"""How stacks, resources and changes look in the answers of the API."""

from collections.abc import Mapping
from typing import Any

from offline.cloudformation.deployed import Deployed
from offline.cloudformation.stack import Stack


def pairs(values: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    return [{f"{prefix}Key": name, f"{prefix}Value": value} for name, value in values.items()]


def described(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.plan.template.get("Description"),
        "TemplateDescription": stack.plan.template.get("Description"),
        "Parameters": pairs(stack.plan.parameters, "Parameter"),
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason or None,
        "DisableRollback": False,
        "Capabilities": list(stack.capabilities),
        "Outputs": stack.outputs,
        "RoleARN": stack.role_arn,
        "Tags": pairs(stack.plan.tags, ""),
        "EnableTerminationProtection": stack.protected,
    }


def resource_of(stack: Stack, resource: Deployed) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.made.id,
        "ResourceType": resource.type,
        "Timestamp": resource.at,
        "LastUpdatedTimestamp": resource.at,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason or None,
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a change set says of its plan: by resource, from the two templates."""
    actions = [
        (name, "Add" if name not in before else "Remove" if name not in after else "Modify")
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    return [
        {
            "Type": "Resource",
            "ResourceChange": {
                "Action": action,
                "LogicalResourceId": name,
                "ResourceType": (after.get(name) or before[name])["Type"],
            },
        }
        for name, action in actions
    ]
