"""Tables: DynamoDB, on demand and in one region.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-globaltable.html
"""

from collections.abc import Mapping
from typing import Any

from offline.cloudformation.resource import Made, Order, ResourceType, Unsupported, tag_map

_SHARED = frozenset(
    {"TableName", "KeySchema", "AttributeDefinitions", "BillingMode", "SSESpecification", "TimeToLiveSpecification"}
)
_REPLACED_BY = frozenset({"TableName", "KeySchema", "AttributeDefinitions"})
# Of one table in AWS::DynamoDB::Table, of each replica in AWS::DynamoDB::GlobalTable.
_OF_REPLICA = frozenset({"PointInTimeRecoverySpecification", "DeletionProtectionEnabled", "Tags"})


class Table(ResourceType):
    properties = _SHARED | _OF_REPLICA
    replaced_by = _REPLACED_BY

    def create(self, order: Order) -> Made:
        name = order.get("TableName") or order.name(longest=255)
        if order.get("BillingMode") != "PAY_PER_REQUEST":
            raise Unsupported(f"BillingMode is {order.get('BillingMode', 'PROVISIONED')}; known is PAY_PER_REQUEST")
        given = {name: order[name] for name in ("KeySchema", "AttributeDefinitions", "BillingMode")}
        encryption = {
            "Enabled" if key == "SSEEnabled" else key: _flag(value) if key == "SSEEnabled" else value
            for key, value in order.get("SSESpecification", {}).items()
        }
        sse = {"SSESpecification": encryption} if encryption else {}
        table = order.client("dynamodb").create_table(TableName=name, **given, **sse)["TableDescription"]
        return self.update(order, Made(name, {"Arn": table["TableArn"]}), {})

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        tables = order.client("dynamodb")
        if old and (
            changed := [name for name in ("BillingMode", "SSESpecification") if order.get(name) != old.get(name)]
        ):
            raise Unsupported(f"{changed[0]} of a table cannot be changed here; make another table")
        replica = self._replica(order)
        tags, kept = tag_map(replica.get("Tags")), tag_map(self._tagged(old))
        if gone := sorted(kept.keys() - tags.keys()):
            tables.untag_resource(ResourceArn=made.attributes["Arn"], TagKeys=gone)
        if tags != kept and tags:
            pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
            tables.tag_resource(ResourceArn=made.attributes["Arn"], Tags=pairs)
        protected = _flag(replica.get("DeletionProtectionEnabled", False))
        tables.update_table(TableName=made.id, DeletionProtectionEnabled=protected)
        recovered = replica.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled", False)
        tables.update_continuous_backups(
            TableName=made.id,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": _flag(recovered)},
        )
        before, after = (given.get("TimeToLiveSpecification") for given in (old, order.properties))
        if after != before:
            wanted = after or {**(before or {}), "Enabled": False}
            ttl = {"AttributeName": wanted["AttributeName"], "Enabled": _flag(wanted["Enabled"])}
            tables.update_time_to_live(TableName=made.id, TimeToLiveSpecification=ttl)
        return made

    def delete(self, order: Order, made: Made) -> None:
        order.client("dynamodb").delete_table(TableName=made.id)

    def _replica(self, order: Order) -> Mapping[str, Any]:
        return order.properties

    def _tagged(self, properties: Mapping[str, Any]) -> Any:
        return properties.get("Tags")


class GlobalTable(Table):
    """What CDK's TableV2 makes, also for one region."""

    properties = _SHARED | {"Replicas"}

    def _replica(self, order: Order) -> Mapping[str, Any]:
        regions = [replica["Region"] for replica in order["Replicas"]]
        if regions != [order.region]:
            raise Unsupported(f"Replicas are in {', '.join(regions)}; there is {order.region} only")
        replica: Mapping[str, Any] = order["Replicas"][0]
        if unknown := sorted(replica.keys() - _OF_REPLICA - {"Region"}):
            raise Unsupported(f"a replica has {unknown[0]}; known are {', '.join(sorted(_OF_REPLICA))}")
        return replica

    def _tagged(self, properties: Mapping[str, Any]) -> Any:
        return next((replica.get("Tags") for replica in properties.get("Replicas", [])), None)


def _flag(value: Any) -> bool:
    """Templates may write any scalar as text."""
    return str(value).lower() == "true"


TYPES: Mapping[str, ResourceType] = {"AWS::DynamoDB::Table": Table(), "AWS::DynamoDB::GlobalTable": GlobalTable()}
