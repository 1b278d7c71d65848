"""The CloudFormation API: each method answers the operation of its name."""

from collections.abc import Mapping
from typing import Any

from botocore import xform_name

from offline.api import Call, ServiceError
from offline.cloudformation.answers import described, resource_of
from offline.cloudformation.change_sets import ChangeSetCalls
from offline.cloudformation.registry import GONE, Registry, carry
from offline.cloudformation.template import TemplateError, parse
from offline.state import State


class Service:
    """CloudFormation of one account and region."""

    def __init__(self, state: State) -> None:
        registry = Registry(state)
        self._calls = (StackCalls(registry), ChangeSetCalls(registry))

    def answer(self, call: Call) -> Mapping[str, Any]:
        """The result of one call.

        Raises:
            ServiceError: with the code and message of the service's own error.
            NotImplementedError: the operation is not one of these.
        """
        name = xform_name(call.operation.name)
        for calls in self._calls:
            if (method := getattr(calls, name, None)) is not None:
                try:
                    return method(call.parameters)  # type: ignore[no-any-return]
                except TemplateError as error:
                    raise ServiceError("ValidationError", str(error)) from error
        raise NotImplementedError("nobody wrote this operation")


class StackCalls:
    """The operations on stacks, each under its own name."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def create_stack(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        plan = self._registry.plan(given, None)
        with self._registry.lock:
            if self._registry.find(given["StackName"]) is not None:
                raise ServiceError("AlreadyExistsException", f"Stack [{given['StackName']}] already exists")
            stack = self._registry.add(given, plan)
        stack.create()
        return {"StackId": stack.id}

    def update_stack(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.stack(given["StackName"])
        if not stack.status.endswith("_COMPLETE") or stack.status in (GONE, "ROLLBACK_COMPLETE"):
            message = f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            raise ServiceError("ValidationError", message)
        plan = self._registry.plan(given, stack)
        if plan == stack.plan:
            raise ServiceError("ValidationError", "No updates are to be performed.")
        carry(stack, given)
        stack.update(plan)
        return {"StackId": stack.id}

    def delete_stack(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.find(given["StackName"])
        if stack is None or stack.status == GONE:
            return {}
        if stack.protected:
            message = f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            raise ServiceError("ValidationError", message)
        stack.delete()
        return {}

    def update_termination_protection(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.stack(given["StackName"])
        stack.protected = given["EnableTerminationProtection"]
        return {"StackId": stack.id}

    def describe_stacks(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        named = "StackName" in given
        stacks = [self._registry.stack(given["StackName"])] if named else self._registry.living()
        return {"Stacks": [described(stack) for stack in stacks]}

    def list_stacks(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = given.get("StackStatusFilter")
        stacks = [stack for stack in self._registry.stacks.values() if not wanted or stack.status in wanted]
        return {"StackSummaries": [described(stack) for stack in stacks]}

    def describe_stack_events(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"StackEvents": self._registry.stack(given["StackName"]).events[::-1]}

    def describe_stack_resources(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.stack(given.get("StackName", ""))
        wanted = given.get("LogicalResourceId")
        found = [one for one in stack.resources.values() if wanted in (None, one.logical_id)]
        return {"StackResources": [resource_of(stack, one) for one in found]}

    def describe_stack_resource(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.stack(given["StackName"])
        found = stack.resources.get(given["LogicalResourceId"])
        if found is None:
            message = f"Resource {given['LogicalResourceId']} does not exist for stack {stack.name}"
            raise ServiceError("ValidationError", message)
        return {"StackResourceDetail": resource_of(stack, found)}

    def list_stack_resources(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.stack(given["StackName"])
        return {"StackResourceSummaries": [resource_of(stack, one) for one in stack.resources.values()]}

    def get_template(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        body = self._registry.stack(given["StackName"]).plan.body
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        named = "StackName" in given
        body = self._registry.stack(given["StackName"]).plan.body if named else self._registry.body(given)
        template = parse(body)
        parameters = [
            {"ParameterKey": name, "ParameterType": one["Type"], "DefaultValue": one.get("Default")}
            for name, one in template.get("Parameters", {}).items()
        ]
        types = sorted({resource["Type"] for resource in template["Resources"].values()})
        return {"Parameters": parameters, "ResourceTypes": types, "Description": template.get("Description")}

    def list_exports(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        exports = [export for stack in self._registry.living() for export in stack.exports.values()]
        return {
            "Exports": [{"ExportingStackId": one.stack_id, "Name": one.name, "Value": one.value} for one in exports]
        }

    def list_imports(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"Imports": [stack.name for stack in self._registry.living() if given["ExportName"] in stack.imported]}
