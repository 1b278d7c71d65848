"""IoT of one account, and what the tests of its rules ask of it."""

import json
from typing import Any

from offline.account import Account
from tests.offline.bench import any_name, until
from tests.offline.fleet import archive
from tests.offline.roles import make_role

BUCKET, TABLE = "from-devices", "from-devices"
# Writes down every event that it gets.
WITNESS = """
import boto3, json, uuid
def handler(event, context):
    key = f"{context.function_name}/{uuid.uuid4()}"
    boto3.client("s3").put_object(Bucket="from-devices", Key=key, Body=json.dumps(event))
"""


class Core:
    """IoT of one account, and where its rules put what they get."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.iot, self.data, self.s3 = (account.client(name) for name in ("iot", "iot-data", "s3"))
        self.tables, self.functions, self.iam = (account.client(name) for name in ("dynamodb", "lambda", "iam"))
        self.s3.create_bucket(Bucket=BUCKET)
        self.tables.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "thing", "AttributeType": "S"},
                {"AttributeName": "number", "AttributeType": "N"},
            ],
            KeySchema=[
                {"AttributeName": "thing", "KeyType": "HASH"},
                {"AttributeName": "number", "KeyType": "RANGE"},
            ],
        )
        self.role_arn = self.role("dynamodb:PutItem", "s3:PutObject")

    def role(self, *actions: str, service: str = "iot") -> str:
        """The ARN of a new role that may do this to anything."""
        return make_role(self.account, any_name("role"), *actions, services=[service])

    def rule(self, sql: str, *actions: dict[str, Any], **more: Any) -> str:
        """The name of a new rule."""
        name = any_name("rule").replace("-", "_")
        payload = {"sql": sql, "actions": list(actions), "awsIotSqlVersion": "2016-03-23"} | more
        self.iot.create_topic_rule(ruleName=name, topicRulePayload=payload)
        return name

    def object(self, key: str, *, role: str = "", bucket: str = BUCKET) -> dict[str, Any]:
        """An action."""
        return {"s3": {"roleArn": role or self.role_arn, "bucketName": bucket, "key": key}}

    def publish(self, topic: str, payload: Any = b"", *, qos: int = 1) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.data.publish(topic=topic, qos=qos, payload=body)

    def keys(self, prefix: str) -> list[str]:
        return [found["Key"] for found in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]

    def read(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def stored(self, prefix: str, count: int = 1) -> list[Any]:
        """The JSON objects below a prefix, once there are so many."""
        keys = until(lambda: self.keys(prefix), lambda keys: len(keys) >= count)
        return [json.loads(self.read(key)) for key in keys]

    def row(self, thing: str, number: int) -> dict[str, Any]:
        """A row of the table, once it is there."""
        key = {"thing": {"S": thing}, "number": {"N": str(number)}}
        item: dict[str, Any] = until(lambda: self.tables.get_item(TableName=TABLE, Key=key).get("Item"), bool)
        return item

    def function(self, *, permitted_for: str | None) -> str:
        """The ARN of a new function that witnesses events, permitted for rules of this name."""
        name = any_name("witness")
        arn: str = self.functions.create_function(
            FunctionName=name,
            Code={"ZipFile": archive({"index.py": WITNESS})},
            Handler="index.handler",
            Runtime="python3.14",
            Timeout=60,  # an event that takes longer is lost, and a machine may have more to do than this test
            Role=self.role("s3:PutObject", service="lambda"),
        )["FunctionArn"]
        if permitted_for is not None:
            self.functions.add_permission(
                FunctionName=name,
                StatementId="rule",
                Action="lambda:InvokeFunction",
                Principal="iot.amazonaws.com",
                SourceArn=f"arn:aws:iot:us-east-1:123456789012:rule/{permitted_for}",
            )
        return arn
