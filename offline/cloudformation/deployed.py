"""One resource of a stack: what it was made of, and how it is made, changed and removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from offline.cloudformation.resource import Made, Order, Place, ResourceType, Unsupported, is_absent
from offline.cloudformation.template import Scope, evaluate
from offline.cloudformation.types import TYPES

_RETAINED = {"Retain"}


class Failed(Exception):
    """A resource that could not be made, changed or removed; the message is the service's own."""


@dataclass
class Deployed:
    """A resource of a stack as it was last made."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    made: Made = field(default_factory=lambda: Made(""))
    retained: bool = False
    """Outlives its removal from the stack (DeletionPolicy)."""
    retained_when_replaced: bool = False
    status: str = ""
    reason: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def wanted(cls, logical_id: str, template: Mapping[str, Any], scope: Scope) -> Self:
        """The resource as its template wants it, not made yet."""
        return cls(
            logical_id,
            template["Type"],
            evaluate(template.get("Properties", {}), scope),
            retained=template.get("DeletionPolicy") in _RETAINED,
            retained_when_replaced=template.get("UpdateReplacePolicy") in _RETAINED,
        )

    @property
    def _kind(self) -> ResourceType:
        return TYPES[self.type]

    def must_replace(self, old: "Deployed") -> bool:
        """Whether what differs from the old one needs a new resource."""
        changed = {
            name
            for name in old.properties.keys() | self.properties.keys()
            if old.properties.get(name) != self.properties.get(name)
        }
        return self._kind.replaced_by is None or bool(changed & self._kind.replaced_by)

    def make(self, place: Place, stack: str, old: "Deployed | None") -> None:
        """Create the resource, or change or replace the old one into it.

        Raises:
            Failed: with what the service said.
        """
        known = self._kind.properties
        if known is not None and (unknown := sorted(set(self.properties) - known)):
            raise Failed(f"the offline account does not know property {unknown[0]} of {self.type}")
        order = Order(place, stack, self.logical_id, self.properties)
        try:
            if old is None or self.must_replace(old):
                self.made = self._kind.create(order)
            else:
                self.made = self._kind.update(order, old.made, old.properties)
        except (ClientError, BotoCoreError, Unsupported) as error:
            raise Failed(_said(error)) from error

    def remove(self, place: Place, stack: str) -> None:
        """Remove what was made; that it is gone already is no failure.

        Raises:
            Failed: with what the service said.
        """
        try:
            self._kind.delete(Order(place, stack, self.logical_id, self.properties), self.made)
        except (ClientError, BotoCoreError, Unsupported) as error:
            if not (isinstance(error, ClientError) and is_absent(error)):
                raise Failed(_said(error)) from error


def _said(error: Exception) -> str:
    if not isinstance(error, ClientError):
        return str(error)
    answer = error.response["Error"]
    said, code = answer.get("Message", ""), answer.get("Code", "")
    return f'Resource handler returned message: "{said}" (Operation: {error.operation_name}, Code: {code})'
