"""Change sets: a change described before it is made. The CLI bootstraps with one, and deploys with them by default."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from offline.api import ServiceError
from offline.cloudformation.answers import changes, pairs
from offline.cloudformation.planning import Plan
from offline.cloudformation.registry import Registry, carry
from offline.cloudformation.stack import Stack

_NOTHING = "The submitted information didn't contain changes. Submit different information to create a change set."


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


class ChangeSetCalls:
    """The operations on change sets, each under its own name."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._all: dict[str, ChangeSet] = {}

    def create_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        kind = given.get("ChangeSetType", "UPDATE")
        with self._registry.lock:
            if kind == "UPDATE":
                stack = self._registry.stack(given["StackName"])
                plan, before = self._registry.plan(given, stack), stack.plan.template["Resources"]
            else:
                plan, before = self._registry.plan(given, None), {}
                stack = self._registry.find(given["StackName"]) or self._registry.add(given, plan)
            carry(stack, given)
        id_ = self._registry.arn(f"changeSet/{given['ChangeSetName']}/{uuid.uuid4()}")
        differences = changes(before, plan.template["Resources"])
        self._all[id_] = ChangeSet(id_, given["ChangeSetName"], stack, plan, kind, differences)
        return {"Id": id_, "StackId": stack.id}

    def describe_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        one = self._find(given)
        return {
            "ChangeSetName": one.name,
            "ChangeSetId": one.id,
            "StackId": one.stack.id,
            "StackName": one.stack.name,
            "Parameters": pairs(one.plan.parameters, "Parameter"),
            "CreationTime": one.created,
            "ExecutionStatus": "UNAVAILABLE" if one.empty else one.execution,
            "Status": "FAILED" if one.empty else "CREATE_COMPLETE",
            "StatusReason": _NOTHING if one.empty else None,
            "Changes": one.changes,
        }

    def execute_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        one = self._find(given)
        one.execution = "EXECUTE_COMPLETE"
        if one.kind == "CREATE":
            one.stack.plan = one.plan
            one.stack.create()
        else:
            one.stack.update(one.plan)
        return {}

    def delete_change_set(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            del self._all[self._find(given).id]
        except ServiceError as error:
            if error.code != "ChangeSetNotFound":  # deleting one that is not there succeeds
                raise
        return {}

    def list_change_sets(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        stack = self._registry.stack(given["StackName"])
        found = [one.id for one in self._all.values() if one.stack is stack]
        return {"Summaries": [self.describe_change_set({"ChangeSetName": id_}) for id_ in found]}

    def _find(self, given: Mapping[str, Any]) -> ChangeSet:
        name = given["ChangeSetName"]
        if name in self._all:
            return self._all[name]
        stack = self._registry.find(given.get("StackName", ""))
        found = [one for one in self._all.values() if one.name == name and one.stack is stack]
        if not found:
            raise ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return found[-1]
