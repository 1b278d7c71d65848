"""One stack: its resources, its events, and how it is created, updated, rolled back and deleted."""

import graphlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from offline.cloudformation.resource import Made, Order, ResourceType, Unsupported, is_absent
from offline.cloudformation.template import Scope, TemplateError, condition, evaluate, references
from offline.cloudformation.types import TYPES

_RETAINED = {"Retain"}


@dataclass
class Deployed:
    """A resource of a stack as it was last made."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    made: Made
    needs: set[str]
    retained: bool = False
    """Outlives its removal from the stack (DeletionPolicy)."""
    kept_when_replaced: bool = False
    status: str = ""
    reason: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Export:
    stack_id: str
    name: str
    value: str


@dataclass(frozen=True)
class Plan:
    """What a stack is to be."""

    body: str
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


class Failed(Exception):
    """A resource that could not be made, changed or removed; the message is the service's own."""


@dataclass
class Stack:
    """A stack of the account. Its operations run to their end before they return; the events tell the story."""

    id: str
    name: str
    plan: Plan
    client: Callable[[str], Any]
    account_id: str
    region: str
    siblings: Callable[[], Iterable["Stack"]]
    """Every stack of the account and region that is not deleted, this one included."""
    status: str = "REVIEW_IN_PROGRESS"
    reason: str = ""
    role_arn: str | None = None
    capabilities: tuple[str, ...] = ()
    protected: bool = False
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, Deployed] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    exports: dict[str, Export] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)

    # ---- The three operations ---------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make every resource in the order of its references; on a failure remove them again."""
        self._tell("CREATE_IN_PROGRESS", "User Initiated")
        try:
            scope = self._scope(self.plan)
            for logical_id in self._checked(scope):
                self._make(logical_id, scope)
            self._settle(scope)
        except (Failed, TemplateError) as error:
            self._tell("ROLLBACK_IN_PROGRESS", f"{error} Rollback requested by user.")
            removed = self._remove(reversed(list(self.resources)), keep_retained=False)
            self._tell("ROLLBACK_COMPLETE" if removed else "ROLLBACK_FAILED")
        else:
            self._tell("CREATE_COMPLETE")

    def update(self, plan: Plan) -> None:
        """Change what differs, then remove what is no longer in the template; on a failure change it all back."""
        before, self.plan, old = self.plan, plan, dict(self.resources)
        self.updated = datetime.now(UTC)
        self._tell("UPDATE_IN_PROGRESS", "User Initiated")
        try:
            scope = self._scope(plan)
            wanted = self._checked(scope)
            for logical_id in wanted:
                self._make(logical_id, scope)
            self._settle(scope)
        except (Failed, TemplateError) as error:
            self._tell("UPDATE_ROLLBACK_IN_PROGRESS", str(error))
            self.plan = before
            self._tell("UPDATE_ROLLBACK_COMPLETE" if self._restore(old) else "UPDATE_ROLLBACK_FAILED")
            return
        self._tell("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        replaced = [
            made for name, made in old.items() if name in wanted and made.made.id != self.resources[name].made.id
        ]
        for made in reversed(replaced):
            if not made.kept_when_replaced:
                self._delete(made)
        self._remove([name for name in reversed(list(old)) if name not in wanted], keep_retained=True)
        self._tell("UPDATE_COMPLETE")

    def delete(self) -> None:
        """Remove every resource that is not retained, the last made first."""
        before = self.status
        self._tell("DELETE_IN_PROGRESS", "User Initiated")
        for name in self.exports:
            if users := self._importers(name):
                # The deletion is called off: https://github.com/aws/aws-cdk/issues/604
                self._tell(before, f"Export {name} cannot be deleted as it is in use by {users}")
                return
        if self._remove(reversed(list(self.resources)), keep_retained=True):
            self.exports, self.imported, self.deleted = {}, set(), datetime.now(UTC)
            self._tell("DELETE_COMPLETE")
        else:
            left = ", ".join(self.resources)
            self._tell("DELETE_FAILED", f"The following resource(s) failed to delete: [{left}].")

    # ---- One resource -----------------------------------------------------------------------------------------------

    def _make(self, logical_id: str, scope: Scope) -> None:
        """Create, change, replace or leave one resource, as its template asks."""
        template = self.plan.template["Resources"][logical_id]
        old = self.resources.get(logical_id)
        verb = "UPDATE" if old else "CREATE"
        new = Deployed(
            logical_id,
            template["Type"],
            evaluate(template.get("Properties", {}), scope),
            old.made if old else Made(""),
            {name for name in _needs(template) if name in self.plan.template["Resources"]},
            template.get("DeletionPolicy") in _RETAINED,
            template.get("UpdateReplacePolicy") in _RETAINED,
        )
        if old and old.type != new.type:
            raise self._failed(new, verb, f"Update of resource type is not permitted: {old.type} to {new.type}")
        if old and old.properties == new.properties:
            new.status, new.at = old.status, old.at
            self.resources[logical_id] = new
            return
        self._note(new, f"{verb}_IN_PROGRESS")
        try:
            new.made = self._call(new, old)
        except (ClientError, BotoCoreError, Unsupported) as error:
            raise self._failed(new, verb, _said(error)) from error
        self.resources.pop(logical_id, None)  # what is made last is removed first
        self.resources[logical_id] = new
        self._note(new, f"{verb}_COMPLETE")

    def _call(self, new: Deployed, old: Deployed | None) -> Made:
        kind = _kind(new.type)
        if kind.properties is not None and (unknown := sorted(set(new.properties) - kind.properties)):
            raise Unsupported(f"the offline account does not know property {unknown[0]} of {new.type}")
        order = self._order(new)
        if old is None:
            return kind.create(order)
        changed = {
            name
            for name in old.properties.keys() | new.properties.keys()
            if old.properties.get(name) != new.properties.get(name)
        }
        if kind.update is None or changed & kind.replaced_by:
            self._note(new, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource.")
            return kind.create(order)
        return kind.update(order, old.made, old.properties)

    def _delete(self, made: Deployed) -> bool:
        self._note(made, "DELETE_IN_PROGRESS")
        try:
            _kind(made.type).delete(self._order(made), made.made)
        except ClientError as error:
            if not is_absent(error):
                self._note(made, "DELETE_FAILED", _said(error))
                return False
        except (BotoCoreError, Unsupported) as error:
            self._note(made, "DELETE_FAILED", _said(error))
            return False
        self._note(made, "DELETE_COMPLETE")
        return True

    def _remove(self, names: Any, *, keep_retained: bool) -> bool:
        """Delete these resources; True when none is left behind against the template's will."""
        complete = True
        for name in list(names):
            resource = self.resources[name]
            if keep_retained and resource.retained:
                self._note(resource, "DELETE_SKIPPED")
            elif not self._delete(resource):
                complete = False
                continue
            del self.resources[name]
        return complete

    def _restore(self, old: Mapping[str, Deployed]) -> bool:
        """After a failed update: put every changed resource back and remove every new one."""
        complete = True
        for name, now in reversed(list(self.resources.items())):
            before = old.get(name)
            if before is None:
                complete &= self._remove([name], keep_retained=False)
            elif now.made.id != before.made.id:
                complete &= self._delete(now)
            elif now.properties != before.properties:
                self._note(before, "UPDATE_IN_PROGRESS")
                try:
                    before.made = self._call(before, now)
                    self._note(before, "UPDATE_COMPLETE")
                except (ClientError, BotoCoreError, Unsupported) as error:
                    self._note(before, "UPDATE_FAILED", _said(error))
                    complete = False
        self.resources = dict(old)
        return complete

    def _order(self, resource: Deployed) -> Order:
        return Order(self.client, self.account_id, self.region, self.name, resource.logical_id, resource.properties)

    # ---- Values -----------------------------------------------------------------------------------------------------

    def _scope(self, plan: Plan) -> Scope:
        """What the plan's values may refer to; the resources of this stack as far as they are made."""
        return Scope(
            parameters=_parameters(plan, self.client),
            pseudo={
                "AWS::AccountId": self.account_id,
                "AWS::Region": self.region,
                "AWS::Partition": "aws",
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::StackName": self.name,
                "AWS::StackId": self.id,
            },
            mappings=plan.template.get("Mappings", {}),
            conditions=plan.template.get("Conditions", {}),
            reference=lambda name: self.resources[name].made.id if name in self.resources else None,
            attribute=self._attribute,
            export=lambda name: found.value if (found := self._exports_of_others().get(name)) else None,
        )

    def _attribute(self, logical_id: str, name: str) -> Any:
        if logical_id not in self.resources:
            raise TemplateError(f"Template error: instance of Fn::GetAtt references undefined resource {logical_id}")
        resource = self.resources[logical_id]
        if name not in resource.made.attributes:
            known = ", ".join(resource.made.attributes) or "none"
            raise TemplateError(
                f"the offline account does not know attribute {name} of {resource.type}; known: {known}"
            )
        return resource.made.attributes[name]

    def _checked(self, scope: Scope) -> list[str]:
        """What to make, in order; refused before anything is made when a rule fails or a type is not known here."""
        for name, rule in self.plan.template.get("Rules", {}).items():
            for assertion in rule["Assertions"]:
                if not condition(assertion["Assert"], scope):
                    raise TemplateError(f"Rule {name} failed: {assertion.get('AssertDescription', '')}")
        wanted = _in_order(self.plan.template, scope)
        for logical_id in wanted:
            kind = self.plan.template["Resources"][logical_id]["Type"]
            if kind not in TYPES:
                absent = Deployed(logical_id, kind, {}, Made(""), set())
                raise self._failed(absent, "CREATE", f"the offline account has no resource type {kind}")
        return wanted

    def _settle(self, scope: Scope) -> None:
        """Evaluate the outputs and publish the exports among them.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
        """
        outputs, exports = [], {}
        for key, output in (self.plan.template.get("Outputs") or {}).items():
            if "Condition" in output and not condition(output["Condition"], scope):
                continue
            value = str(evaluate(output["Value"], scope))
            described = {"OutputKey": key, "OutputValue": value, "Description": output.get("Description")}
            if "Export" in output:
                name = evaluate(output["Export"]["Name"], scope)
                exports[name] = Export(self.id, name, value)
                described["ExportName"] = name
            outputs.append({name: text for name, text in described.items() if text is not None})
        for name, export in self.exports.items():
            if (users := self._importers(name)) and (name not in exports or exports[name].value != export.value):
                raise TemplateError(f"Cannot update export {name} as it is in use by {users}")
        others = self._exports_of_others()
        if taken := sorted(set(exports) & set(others)):
            raise TemplateError(
                f"Export with name {taken[0]} is already exported by stack {others[taken[0]].stack_id}."
            )
        self.outputs, self.exports, self.imported = outputs, exports, scope.imported

    def _exports_of_others(self) -> dict[str, Export]:
        others = [stack for stack in self.siblings() if stack is not self]
        return {name: export for stack in others for name, export in stack.exports.items()}

    def _importers(self, name: str) -> str:
        """The stacks that import this export, "" when nobody does."""
        return ", ".join(stack.name for stack in self.siblings() if name in stack.imported)

    # ---- Events -----------------------------------------------------------------------------------------------------

    def _failed(self, resource: Deployed, verb: str, reason: str) -> Failed:
        self._note(resource, f"{verb}_FAILED", reason)
        what = "create" if verb == "CREATE" else "update"
        return Failed(f"The following resource(s) failed to {what}: [{resource.logical_id}].")

    def _note(self, resource: Deployed, status: str, reason: str = "") -> None:
        resource.status, resource.reason, resource.at = status, reason, datetime.now(UTC)
        self._event(resource.logical_id, resource.made.id, resource.type, status, reason)

    def _tell(self, status: str, reason: str = "") -> None:
        self.status, self.reason = status, "" if reason == "User Initiated" else reason
        self._event(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)

    def _event(self, logical_id: str, physical_id: str, kind: str, status: str, reason: str) -> None:
        event = {
            "StackId": self.id,
            "StackName": self.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "Timestamp": datetime.now(UTC),
            "ResourceStatus": status,
        }
        self.events.append(event | ({"ResourceStatusReason": reason} if reason else {}))


def _parameters(plan: Plan, client: Callable[[str], Any]) -> dict[str, Any]:
    """The parameters' values, each of its declared type; SSM ones looked up."""
    declared = plan.template.get("Parameters", {})
    if unknown := sorted(set(plan.parameters) - set(declared)):
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        value = plan.parameters.get(name, parameter.get("Default"))
        if value is None:
            raise TemplateError(f"Parameters: [{name}] must have values")
        kind = parameter["Type"]
        if kind.startswith("AWS::SSM::Parameter::Value"):
            try:
                value = client("ssm").get_parameter(Name=value)["Parameter"]["Value"]
            except ClientError as error:
                raise TemplateError(
                    f"Unable to fetch parameters [{value}] from parameter store for this account."
                ) from error
        elif kind == "CommaDelimitedList" or kind.startswith("List<"):
            value = str(value).split(",")
        if "AllowedValues" in parameter and value not in parameter["AllowedValues"]:
            raise TemplateError(f"Parameter '{name}' must be one of {parameter['AllowedValues']}")
        values[name] = value
    return values


def _in_order(template: Mapping[str, Any], scope: Scope) -> list[str]:
    """The resources whose conditions hold, each behind those that it refers to."""
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or condition(resource["Condition"], scope)
    }
    graph = {name: {need for need in _needs(resource) if need in resources} for name, resource in resources.items()}
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise TemplateError(f"Circular dependency between resources: [{', '.join(error.args[1])}]") from error


def _needs(resource: Mapping[str, Any]) -> Iterator[str]:
    yield from references(resource.get("Properties", {}))
    depends = resource.get("DependsOn", [])
    yield from [depends] if isinstance(depends, str) else depends


def _kind(name: str) -> ResourceType:
    return TYPES[name]


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        answer = error.response
        return (
            f'Resource handler returned message: "{answer["Error"].get("Message", "")}" '
            f"(Operation: {error.operation_name}, Code: {answer['Error'].get('Code', '')})"
        )
    return str(error)
