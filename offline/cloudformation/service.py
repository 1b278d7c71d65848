"""The CloudFormation API: each method answers the operation of its name."""

import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

from botocore import xform_name

from offline.api import Call, ServiceError
from offline.cloudformation.stack import Deployed, Plan, Stack
from offline.cloudformation.template import TemplateError, parse
from offline.state import ACCOUNT_ID, State

_GONE = "DELETE_COMPLETE"


@dataclass
class ChangeSet:
    """A change that was described and not yet made."""

    id: str
    name: str
    stack: Stack
    plan: Plan
    kind: str
    changes: list[dict[str, Any]]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    execution: str = "AVAILABLE"

    @property
    def empty(self) -> bool:
        return self.kind == "UPDATE" and not self.changes and self.plan == self.stack.plan


class Service:
    """CloudFormation of one account and region."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._stacks: dict[str, Stack] = {}
        self._change_sets: dict[str, ChangeSet] = {}
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Mapping[str, Any]:
        """The result of one call.

        Raises:
            ServiceError: with the code and message of the service's own error.
            NotImplementedError: the operation is not one of these.
        """
        method = getattr(self, xform_name(call.operation.name), None)
        if method is None:
            raise NotImplementedError("CloudFormation has no such operation here")
        try:
            result: Mapping[str, Any] = method(call.parameters)
        except TemplateError as error:
            raise ServiceError("ValidationError", str(error)) from error
        return result

    # ---- Stacks -----------------------------------------------------------------------------------------------------

    def create_stack(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        plan = self._plan(given, None)
        with self._lock:
            if self._find(given["StackName"]) is not None:
                raise ServiceError("AlreadyExistsException", f"Stack [{given['StackName']}] already exists")
            stack = self._new(given, plan)
        stack.create()
        return {"StackId": stack.id}

    def update_stack(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._stack(given["StackName"])
        if not stack.status.endswith("_COMPLETE") or stack.status == "ROLLBACK_COMPLETE":
            raise ServiceError(
                "ValidationError", f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            )
        plan = self._plan(given, stack)
        if plan == stack.plan:
            raise ServiceError("ValidationError", "No updates are to be performed.")
        self._carry(stack, given)
        stack.update(plan)
        return {"StackId": stack.id}

    def delete_stack(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._find(given["StackName"])
        if stack is None or stack.status == _GONE:
            return {}
        if stack.protected:
            raise ServiceError(
                "ValidationError", f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        stack.delete()
        return {}

    def update_termination_protection(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._stack(given["StackName"])
        stack.protected = given["EnableTerminationProtection"]
        return {"StackId": stack.id}

    def describe_stacks(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stacks = [self._stack(given["StackName"])] if "StackName" in given else self._living()
        return {"Stacks": [_described(stack) for stack in stacks]}

    def list_stacks(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = given.get("StackStatusFilter")
        stacks = [stack for stack in self._stacks.values() if not wanted or stack.status in wanted]
        return {"StackSummaries": [_described(stack) for stack in stacks]}

    def describe_stack_events(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"StackEvents": self._stack(given["StackName"]).events[::-1]}

    def describe_stack_resources(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._stack(given.get("StackName") or "")
        wanted = given.get("LogicalResourceId")
        found = [one for one in stack.resources.values() if wanted in (None, one.logical_id)]
        return {"StackResources": [_resource(stack, one) for one in found]}

    def describe_stack_resource(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._stack(given["StackName"])
        found = stack.resources.get(given["LogicalResourceId"])
        if found is None:
            message = f"Resource {given['LogicalResourceId']} does not exist for stack {stack.name}"
            raise ServiceError("ValidationError", message)
        return {"StackResourceDetail": _resource(stack, found) | {"LastUpdatedTimestamp": found.at}}

    def list_stack_resources(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._stack(given["StackName"])
        found = [_resource(stack, one) | {"LastUpdatedTimestamp": one.at} for one in stack.resources.values()]
        return {"StackResourceSummaries": found}

    def get_template(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if "ChangeSetName" in given:
            return {"TemplateBody": self._change_set(given).plan.body}
        return {"TemplateBody": self._stack(given["StackName"]).plan.body, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        body = self._stack(given["StackName"]).plan.body if "StackName" in given else self._body(given)
        template = parse(body)
        parameters = [
            {"ParameterKey": name, "ParameterType": one["Type"], "DefaultValue": one.get("Default")}
            for name, one in template.get("Parameters", {}).items()
        ]
        types = sorted({resource["Type"] for resource in template["Resources"].values()})
        return {"Parameters": parameters, "ResourceTypes": types, "Description": template.get("Description")}

    def list_exports(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        exports = [export for stack in self._living() for export in stack.exports.values()]
        return {
            "Exports": [{"ExportingStackId": one.stack_id, "Name": one.name, "Value": one.value} for one in exports]
        }

    def list_imports(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"Imports": [stack.name for stack in self._living() if given["ExportName"] in stack.imported]}

    # ---- Change sets ------------------------------------------------------------------------------------------------

    def create_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        kind = given.get("ChangeSetType", "UPDATE")
        with self._lock:
            stack = self._find(given["StackName"])
            if kind == "UPDATE" and (stack is None or stack.status == "REVIEW_IN_PROGRESS"):
                raise _absent(given["StackName"])
            plan = self._plan(given, stack if kind == "UPDATE" else None)
            if stack is None:
                stack = self._new(given, plan)
                stack.events.clear()
            self._carry(stack, given)
        before = stack.plan.template["Resources"] if kind == "UPDATE" else {}
        id_ = _arn(self._state.region, f"changeSet/{given['ChangeSetName']}/{uuid.uuid4()}")
        changes = _changes(before, plan.template["Resources"])
        self._change_sets[id_] = ChangeSet(id_, given["ChangeSetName"], stack, plan, kind, changes)
        return {"Id": id_, "StackId": stack.id}

    def describe_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        one = self._change_set(given)
        nothing = (
            "The submitted information didn't contain changes. Submit different information to create a change set."
        )
        return {
            "ChangeSetName": one.name,
            "ChangeSetId": one.id,
            "StackId": one.stack.id,
            "StackName": one.stack.name,
            "Parameters": _pairs(one.plan.parameters, "Parameter"),
            "CreationTime": one.created,
            "ExecutionStatus": "UNAVAILABLE" if one.empty else one.execution,
            "Status": "FAILED" if one.empty else "CREATE_COMPLETE",
            "StatusReason": nothing if one.empty else None,
            "Changes": one.changes,
        }

    def execute_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        one = self._change_set(given)
        one.execution = "EXECUTE_COMPLETE"
        if one.kind == "CREATE":
            one.stack.plan = one.plan
            one.stack.create()
        else:
            one.stack.update(one.plan)
        return {}

    def delete_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            del self._change_sets[self._change_set(given).id]
        except ServiceError as error:
            if error.code != "ChangeSetNotFound":  # deleting one that is not there succeeds
                raise
        return {}

    def list_change_sets(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._stack(given["StackName"])
        found = [one for one in self._change_sets.values() if one.stack is stack]
        return {"Summaries": [self.describe_change_set({"ChangeSetName": one.id}) for one in found]}

    # ---- Finding and making -----------------------------------------------------------------------------------------

    def _living(self) -> list[Stack]:
        return [stack for stack in list(self._stacks.values()) if stack.status != _GONE]

    def _find(self, name: str) -> Stack | None:
        """By name a stack that exists, by id one that existed too."""
        if name in self._stacks:
            return self._stacks[name]
        return next((stack for stack in self._living() if stack.name == name), None)

    def _stack(self, name: str) -> Stack:
        stack = self._find(name)
        if stack is None:
            raise _absent(name)
        return stack

    def _change_set(self, given: Mapping[str, Any]) -> ChangeSet:
        name = given["ChangeSetName"]
        if name in self._change_sets:
            return self._change_sets[name]
        stack = self._find(given.get("StackName", ""))
        found = [one for one in self._change_sets.values() if one.name == name and one.stack is stack]
        if not found:
            raise ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return found[-1]

    def _new(self, given: Mapping[str, Any], plan: Plan) -> Stack:
        id_ = _arn(self._state.region, f"stack/{given['StackName']}/{uuid.uuid4()}")
        stack = Stack(
            id=id_,
            name=given["StackName"],
            plan=plan,
            client=self._state.client,
            account_id=ACCOUNT_ID,
            region=self._state.region,
            siblings=self._living,
        )
        self._carry(stack, given)
        stack.protected = given.get("EnableTerminationProtection", False)
        self._stacks[id_] = stack
        return stack

    def _carry(self, stack: Stack, given: Mapping[str, Any]) -> None:
        stack.role_arn = given.get("RoleARN", stack.role_arn)
        stack.capabilities = tuple(given.get("Capabilities", stack.capabilities))

    def _plan(self, given: Mapping[str, Any], stack: Stack | None) -> Plan:
        body = stack.plan.body if stack and given.get("UsePreviousTemplate") else self._body(given)
        before = stack.plan.parameters if stack else {}
        parameters = {}
        for one in given.get("Parameters", []):
            name = one["ParameterKey"]
            if not one.get("UsePreviousValue"):
                parameters[name] = one["ParameterValue"]
            elif name in before:
                parameters[name] = before[name]
        tags = (
            {tag["Key"]: tag["Value"] for tag in given.get("Tags", [])}
            if "Tags" in given or not stack
            else stack.plan.tags
        )
        return Plan(body, parse(body), parameters, tags)

    def _body(self, given: Mapping[str, Any]) -> str:
        if "TemplateBody" in given:
            return str(given["TemplateBody"])
        if "TemplateURL" not in given:
            raise ServiceError("ValidationError", "Either Template URL or Template Body must be specified.")
        address = urlparse(given["TemplateURL"])
        bucket, _, key = address.path.lstrip("/").partition("/")
        if not address.netloc.startswith(("s3.", "s3-", "localhost")):  # the bucket stands in the host name
            bucket, key = address.netloc.split(".")[0], address.path.lstrip("/")
        found = self._state.client("s3").get_object(Bucket=bucket, Key=key)
        return str(found["Body"].read().decode())


def _absent(name: str) -> ServiceError:
    return ServiceError("ValidationError", f"Stack with id {name} does not exist")


def _arn(region: str, resource: str) -> str:
    return f"arn:aws:cloudformation:{region}:{ACCOUNT_ID}:{resource}"


def _pairs(values: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    return [{f"{prefix}Key": name, f"{prefix}Value": value} for name, value in values.items()]


def _described(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.plan.template.get("Description"),
        "TemplateDescription": stack.plan.template.get("Description"),
        "Parameters": _pairs(stack.plan.parameters, "Parameter"),
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason or None,
        "DisableRollback": False,
        "Capabilities": list(stack.capabilities),
        "Outputs": stack.outputs,
        "RoleARN": stack.role_arn,
        "Tags": _pairs(stack.plan.tags, ""),
        "EnableTerminationProtection": stack.protected,
    }


def _resource(stack: Stack, resource: Deployed) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.made.id,
        "ResourceType": resource.type,
        "Timestamp": resource.at,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason or None,
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a change set says of its plan: by resource, from the two templates."""
    actions: Iterable[tuple[str, str]] = [
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
