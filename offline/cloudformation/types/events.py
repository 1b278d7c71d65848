"""What happens when something happened: EventBridge rules."""

import json
from collections.abc import Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType


class Rule(ResourceType):
    """A rule and its targets, which the API makes apart: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html"""

    replaced_by = frozenset({"Name", "EventBusName"})

    def create(self, order: Order) -> Made:
        made = Made(order.get("Name") or order.name(longest=64))
        made.attributes["Arn"] = self._put(order, made, {})
        return made

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        self._put(order, made, old)
        return made

    def delete(self, order: Order, made: Made) -> None:
        self._drop(order, made, order.get("Targets", []))
        order.client("events").delete_rule(Name=made.id)

    def _put(self, order: Order, made: Made, old: Mapping[str, Any]) -> str:
        given = order.but("Name", "Targets", "EventPattern")
        if "EventPattern" in order.properties:
            given["EventPattern"] = json.dumps(order["EventPattern"])
        arn: str = order.client("events").put_rule(Name=made.id, **given)["RuleArn"]
        targets = order.get("Targets", [])
        kept = {target["Id"] for target in targets}
        self._drop(order, made, [target for target in old.get("Targets", []) if target["Id"] not in kept])
        if targets:
            order.client("events").put_targets(Rule=made.id, Targets=targets)
        return arn

    def _drop(self, order: Order, made: Made, targets: list[Mapping[str, Any]]) -> None:
        if targets:
            order.client("events").remove_targets(Rule=made.id, Ids=[target["Id"] for target in targets])


TYPES: Mapping[str, ResourceType] = {"AWS::Events::Rule": Rule()}
