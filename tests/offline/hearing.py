"""The cloud's end of what devices say, as the deployment stack makes it: topic rules, the ingest function, a table."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offline.account import Account
from reefloop.contracts import ITEM, RECORDS, THING, topic
from reefloop.deployment import records
from reefloop.deployment.records import Stored
from tests.offline.roles import make_role

TABLE = "records-of-the-reef"
_FUNCTIONS = Path(__file__).parents[2] / "lambda"


class Hearing:
    """Keeps and acknowledges what any device of the account sends, from now on."""

    def __init__(self, account: Account) -> None:
        self._table = account.client("dynamodb")
        self._table.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": THING, "KeyType": "HASH"}, {"AttributeName": ITEM, "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (THING, ITEM)],
        )
        arn = _function(account)
        for kind in RECORDS:
            account.client("iot").create_topic_rule(
                ruleName=f"{kind}_of_devices",
                topicRulePayload={
                    "sql": f"SELECT encode(*, 'base64') AS data, topic(2) AS thing FROM '{topic('+', kind)}'",
                    "actions": [{"lambda": {"functionArn": arn}}],
                    "awsIotSqlVersion": "2016-03-23",
                },
            )

    def records(self, thing: str, kind: str) -> list[Stored]:
        """What was kept of one kind, in order of starts and numbers."""
        found = self._table.query(
            TableName=TABLE,
            KeyConditionExpression="#thing = :thing AND begins_with(#item, :kind)",
            ExpressionAttributeNames={"#thing": THING, "#item": ITEM},
            ExpressionAttributeValues={":thing": {"S": thing}, ":kind": {"S": f"{kind}#"}},
        )
        return [records.read(item) for item in found["Items"]]

    def bodies(self, thing: str, kind: str) -> list[Mapping[str, Any]]:
        return [record.body for record in self.records(thing, kind)]

    def model(self, thing: str) -> Mapping[str, Any]:
        """What a device last said of its model; {} before it said anything."""
        key = records.key(thing, records.STATUS)
        item = self._table.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
        return dict(records.read(item).body["model"]) if item else {}


def _function(account: Account) -> str:
    """The ARN of the ingest function, out of its own code."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in _FUNCTIONS.rglob("*.py")):
            archive.write(path, path.relative_to(_FUNCTIONS))
    made = account.client("lambda").create_function(
        FunctionName="ingest",
        Code={"ZipFile": buffer.getvalue()},
        Handler="reefloop.deployment.ingest.handler",
        Runtime="python3.14",
        Role=make_role(account, "ingest"),
        Timeout=60,
        Environment={"Variables": {"RECORDS_TABLE": TABLE, "RECORDS_DAYS": "1"}},
    )
    account.client("lambda").add_permission(
        FunctionName="ingest", StatementId="rules", Action="lambda:InvokeFunction", Principal="iot.amazonaws.com"
    )
    return str(made["FunctionArn"])
