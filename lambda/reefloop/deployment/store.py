"""What the ingest function does to the table of records. Everything may happen twice, in any order and at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from reefloop import clients
from reefloop.contracts import EXPIRES_AT, ITEM, THING
from reefloop.deployment import records
from reefloop.deployment.records import Item, Stored

_NEW: Final = "attribute_not_exists(#thing)"
# Within one start of the component its own numbers say which is newer; between two, only the clocks can.
_NEWER: Final = f"{_NEW} OR (#boot = :boot AND #seq < :seq) OR (#boot <> :boot AND #made_at < :made_at)"


@dataclass(frozen=True)
class Store:
    """The part of a table that is one device's. `expires_at`, in seconds since 1970, is that of what is written."""

    table: str
    thing: str
    expires_at: int

    def put(self, record: Stored) -> bool:
        """Keep a record, and say whether it was not there before. What is there stays as it was."""
        name = records.item(record.kind, record.boot, record.seq)
        return self._put(name, records.write(record, expires_at=self.expires_at), _NEW, {})

    def put_status(self, record: Stored) -> None:
        """Keep a health record as the device's status, unless a newer one is. A status does not expire."""
        made_at = {"N": str(record.made_at)}
        item = records.write(record, expires_at=self.expires_at) | {"made_at": made_at}
        del item[EXPIRES_AT]
        self._put(records.STATUS, item, _NEWER, {":boot": item["boot"], ":seq": item["seq"], ":made_at": made_at})

    def advance(self, kind: str, boot: str, *, base: int) -> int:
        """Move a stream's cursor as far as nothing is missing, and say where it stands.

        Right in any order: of several calls at once, the one that begins to read last begins after all of them have
        put their records, and so it sees every one. Call it after the records were put.

        Args:
            base: what is below and is not there will never come.
        """
        name = records.cursor(kind, boot)
        stands = self._through(name)
        floor = max(stands, base - 1)
        through = records.contiguous(floor, self._numbers(kind, boot, floor))
        return stands if through == stands else self._move(name, through)

    def _move(self, name: str, through: int) -> int:
        """Raise the cursor; where another call has raised it further, it stays there."""
        try:
            clients.dynamodb().update_item(
                TableName=self.table,
                Key=records.key(self.thing, name),
                UpdateExpression="SET #through = :through, #expires = :expires",
                ConditionExpression="attribute_not_exists(#through) OR #through < :through",
                ExpressionAttributeNames={"#through": records.THROUGH, "#expires": EXPIRES_AT},
                ExpressionAttributeValues={":through": {"N": str(through)}, ":expires": {"N": str(self.expires_at)}},
            )
        except ClientError as error:
            _demand_refused(error)
            return self._through(name)
        return through

    def _through(self, name: str) -> int:
        found = clients.dynamodb().get_item(
            TableName=self.table, Key=records.key(self.thing, name), ConsistentRead=True
        )
        return int(found["Item"][records.THROUGH]["N"]) if "Item" in found else 0

    def _numbers(self, kind: str, boot: str, above: int) -> Iterator[int]:
        """The numbers of a stream's records that are there, ascending; read page by page, as far as they are taken."""
        pages = (
            clients.dynamodb()
            .get_paginator("query")
            .paginate(
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="#thing = :thing AND #item BETWEEN :first AND :last",
                ProjectionExpression="#seq",
                ExpressionAttributeNames={"#thing": THING, "#item": ITEM, "#seq": "seq"},
                ExpressionAttributeValues={
                    ":thing": {"S": self.thing},
                    ":first": {"S": records.item(kind, boot, above + 1)},
                    ":last": {"S": f"{records.stream(kind, boot)}~"},  # after every digit
                },
            )
        )
        return (int(item["seq"]["N"]) for page in pages for item in page["Items"])

    def _put(self, name: str, item: Item, condition: str, values: Mapping[str, Any]) -> bool:
        names = {"#thing": THING} | {f"#{value[1:]}": value[1:] for value in values}
        try:
            clients.dynamodb().put_item(
                TableName=self.table,
                Item=records.key(self.thing, name) | item,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                **({"ExpressionAttributeValues": values} if values else {}),
            )
        except ClientError as error:
            _demand_refused(error)
            return False
        return True


def _demand_refused(error: ClientError) -> None:
    """
    Raises:
        ClientError: it is anything but the condition that did not hold.
    """
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
