"""One stack: how it is created, updated, rolled back and deleted, and the events that tell of it."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from offline.cloudformation.deployed import Deployed, Failed
from offline.cloudformation.planning import Export, Plan, check_rules, in_order, outputs, parameters
from offline.cloudformation.resource import Place
from offline.cloudformation.template import Scope, TemplateError
from offline.cloudformation.types import TYPES


@dataclass
class Stack:
    """A stack of the account. Its operations run to their end before they return; the events tell the story."""

    id: str
    name: str
    plan: Plan
    place: Place
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
    """In the order in which they were last made."""
    outputs: list[dict[str, str]] = field(default_factory=list)
    exports: dict[str, Export] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)

    # ---- The three operations ---------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make every resource in the order of its references; on a failure remove them again."""
        self._tell("CREATE_IN_PROGRESS", "User Initiated")
        try:
            self._make_all()
        except (Failed, TemplateError) as error:
            self._tell("ROLLBACK_IN_PROGRESS", f"{error} Rollback requested by user.")
            removed = self._remove(reversed(list(self.resources)), even_retained=True)
            self._tell("ROLLBACK_COMPLETE" if removed else "ROLLBACK_FAILED")
        else:
            self._tell("CREATE_COMPLETE")

    def update(self, plan: Plan) -> None:
        """Change what differs, then remove what is no longer in the template; on a failure change it all back."""
        before, self.plan, old = self.plan, plan, dict(self.resources)
        self.updated = datetime.now(UTC)
        self._tell("UPDATE_IN_PROGRESS", "User Initiated")
        try:
            wanted = self._make_all()
        except (Failed, TemplateError) as error:
            self._tell("UPDATE_ROLLBACK_IN_PROGRESS", str(error))
            self.plan = before
            self._tell("UPDATE_ROLLBACK_COMPLETE" if self._restore(old) else "UPDATE_ROLLBACK_FAILED")
            return
        self._tell("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        for name in reversed(list(old)):
            replaced = name in wanted and old[name].made.id != self.resources[name].made.id
            if replaced and not old[name].retained_when_replaced:
                self._delete(old[name])
        self._remove([name for name in reversed(list(old)) if name not in wanted])
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
        if self._remove(reversed(list(self.resources))):
            self.exports, self.imported, self.deleted = {}, set(), datetime.now(UTC)
            self._tell("DELETE_COMPLETE")
        else:
            self._tell("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(self.resources)}].")

    # ---- Their steps ------------------------------------------------------------------------------------------------

    def _make_all(self) -> list[str]:
        """Make what the plan wants and publish its outputs; returns the logical ids of what it wants."""
        scope = self._scope()
        check_rules(self.plan.template, scope)
        wanted = in_order(self.plan.template, scope)
        for name in wanted:  # before anything is made
            kind = self.plan.template["Resources"][name]["Type"]
            if kind not in TYPES:
                raise self._failed(Deployed(name, kind, {}), f"the offline account has no resource type {kind}")
        for name in wanted:
            self._make(name, scope)
        self._publish(scope)
        return wanted

    def _make(self, name: str, scope: Scope) -> None:
        """Create, change, replace or leave one resource, as its template asks."""
        template, old = self.plan.template["Resources"][name], self.resources.get(name)
        verb = "UPDATE" if old else "CREATE"
        try:
            new = Deployed.wanted(name, template, scope)
        except TemplateError as error:
            raise self._failed(Deployed(name, template["Type"], {}), str(error)) from error
        if old is not None:
            new.made, new.status, new.at = old.made, old.status, old.at
            if old.type != new.type:
                raise self._failed(new, f"Update of resource type is not permitted: {old.type} to {new.type}")
            if old.properties == new.properties:
                self._last(name, new)
                return
        replaces = old is not None and new.must_replace(old)
        reason = "Requested update requires the creation of a new physical resource; hence creating one."
        self._note(new, f"{verb}_IN_PROGRESS", reason if replaces else "")
        try:
            new.make(self.place, self.name, old)
        except Failed as error:
            raise self._failed(new, str(error)) from error
        self._last(name, new)
        self._note(new, f"{verb}_COMPLETE")

    def _last(self, name: str, resource: Deployed) -> None:
        """Keep the resource behind those that it refers to: they are removed in the opposite order."""
        self.resources.pop(name, None)
        self.resources[name] = resource

    def _delete(self, resource: Deployed) -> bool:
        self._note(resource, "DELETE_IN_PROGRESS")
        try:
            resource.remove(self.place, self.name)
        except Failed as error:
            self._note(resource, "DELETE_FAILED", str(error))
            return False
        self._note(resource, "DELETE_COMPLETE")
        return True

    def _remove(self, names: Iterable[str], *, even_retained: bool = False) -> bool:
        """Delete these resources; False when one that was to go is still there."""
        complete = True
        for name in names:
            if self.resources[name].retained and not even_retained:
                self._note(self.resources[name], "DELETE_SKIPPED")
            elif not self._delete(self.resources[name]):
                complete = False
                continue
            del self.resources[name]
        return complete

    def _restore(self, old: Mapping[str, Deployed]) -> bool:
        """After a failed update: put every changed resource back and remove every new one."""
        complete = True
        for name, now in reversed(list(self.resources.items())):
            before = old.get(name)
            if before is None or now.made.id != before.made.id:
                complete &= self._delete(now)
            elif now.properties != before.properties:
                self._note(before, "UPDATE_IN_PROGRESS")
                try:
                    before.make(self.place, self.name, now)
                except Failed as error:
                    self._note(before, "UPDATE_FAILED", str(error))
                    complete = False
                else:
                    self._note(before, "UPDATE_COMPLETE")
        self.resources = dict(old)
        return complete

    def _publish(self, scope: Scope) -> None:
        """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html"""
        told, exports = outputs(self.plan.template, scope, self.id)
        for name, export in self.exports.items():
            if (users := self._importers(name)) and (name not in exports or exports[name].value != export.value):
                raise TemplateError(f"Cannot update export {name} as it is in use by {users}")
        others = self._exports_of_others()
        for name in exports.keys() & others.keys():
            raise TemplateError(f"Export with name {name} is already exported by stack {others[name].stack_id}.")
        self.outputs, self.exports, self.imported = told, exports, scope.imported

    # ---- What values may refer to -----------------------------------------------------------------------------------

    def _scope(self) -> Scope:
        return Scope(
            parameters=parameters(self.plan, self.place),
            pseudo={
                "AWS::AccountId": self.place.account_id,
                "AWS::Region": self.place.region,
                "AWS::Partition": "aws",
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::StackName": self.name,
                "AWS::StackId": self.id,
            },
            mappings=self.plan.template.get("Mappings", {}),
            conditions=self.plan.template.get("Conditions", {}),
            reference=lambda name: self.resources[name].made.id if name in self.resources else None,
            attribute=self._attribute,
            export=lambda name: found.value if (found := self._exports_of_others().get(name)) else None,
        )

    def _attribute(self, logical_id: str, name: str) -> str:
        if logical_id not in self.resources:
            raise TemplateError(f"Template error: instance of Fn::GetAtt references undefined resource {logical_id}")
        resource = self.resources[logical_id]
        if name not in resource.made.attributes:
            known = ", ".join(resource.made.attributes) or "none"
            raise TemplateError(f"the offline account knows no attribute {name} of {resource.type}; known: {known}")
        return resource.made.attributes[name]

    def _exports_of_others(self) -> dict[str, Export]:
        others = [stack for stack in self.siblings() if stack is not self]
        return {name: export for stack in others for name, export in stack.exports.items()}

    def _importers(self, name: str) -> str:
        """The stacks that import this export, "" when nobody does."""
        return ", ".join(stack.name for stack in self.siblings() if name in stack.imported)

    # ---- Events -----------------------------------------------------------------------------------------------------

    def _failed(self, resource: Deployed, reason: str) -> Failed:
        verb = "update" if resource.logical_id in self.resources else "create"
        self._note(resource, f"{verb.upper()}_FAILED", reason)
        return Failed(f"The following resource(s) failed to {verb}: [{resource.logical_id}].")

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
