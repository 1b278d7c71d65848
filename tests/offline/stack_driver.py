"""Drives stacks through the API, as the tests of CloudFormation need it."""

import json
from typing import Any

from offline.account import Account

Resources = dict[str, Any]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}


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


def log_group(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, **properties}}


def recipe(version: str) -> str:
    written = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "any.Component",
        "ComponentVersion": version,
        "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"run": "true"}}],
    }
    return json.dumps(written)
