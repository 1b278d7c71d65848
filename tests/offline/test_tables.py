"""DynamoDB tables of stacks: what they are made of, how they change, and what is refused."""

from typing import Any

import pytest

from offline.account import Account
from tests.offline.bench import any_name
from tests.offline.stack_driver import Resources, Stacks

KEYS: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def table(**properties: Any) -> Resources:
    return {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {**KEYS, **properties}}}


def replicated(*replicas: dict[str, Any]) -> Resources:
    properties = {**KEYS, "Replicas": list(replicas)}
    return {"Table": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": properties}}


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def described(account: Account, name: str) -> tuple[Any, Any, Any, Any]:
    """Whether deletion is refused and any moment can be restored, the time to live, the tags."""
    api = account.client("dynamodb")
    found = api.describe_table(TableName=name)["Table"]
    backups = api.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    living = api.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    tagged = {tag["Key"]: tag["Value"] for tag in api.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]}
    return (
        found["DeletionProtectionEnabled"],
        backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
        (living["TimeToLiveStatus"], living.get("AttributeName")),
        tagged,
    )


def test_a_table_becomes_what_its_stack_says(account: Account, stacks: Stacks) -> None:
    name = any_name("stack")
    stacks.create(
        name,
        table(
            DeletionProtectionEnabled="true",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": "true"},
            TimeToLiveSpecification={"AttributeName": "until", "Enabled": "true"},
            Tags=tags(a="1", b="2"),
        ),
    )
    physical = stacks.ids(name)["Table"]
    assert described(account, physical) == (True, "ENABLED", ("ENABLED", "until"), {"a": "1", "b": "2"})
    stacks.update(name, table(Tags=tags(b="3")))
    assert stacks.ids(name)["Table"] == physical
    assert described(account, physical)[:2] == (False, "DISABLED")
    assert described(account, physical)[2][0] == "DISABLED"
    assert described(account, physical)[3] == {"b": "3"}
    assert stacks.delete(name) == "DELETE_COMPLETE"


def test_a_table_of_one_region_may_be_written_as_a_global_one(account: Account, stacks: Stacks) -> None:
    name = any_name("stack")
    here = {"Region": "us-east-1", "Tags": tags(a="1")}
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}}}
    stack = stacks.create(name, replicated(here), Outputs=outputs)
    physical = stacks.ids(name)["Table"]
    assert stack["Values"]["Arn"] == f"arn:aws:dynamodb:us-east-1:123456789012:table/{physical}"
    assert described(account, physical)[3] == {"a": "1"}


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (table(BillingMode="PROVISIONED"), "known is PAY_PER_REQUEST"),
        (table(GlobalSecondaryIndexes=[]), "GlobalSecondaryIndexes"),
        (replicated({"Region": "us-east-1"}, {"Region": "eu-west-1"}), "there is us-east-1 only"),
        (replicated({"Region": "us-east-1", "KinesisStreamSpecification": {}}), "a replica has Kinesis"),
    ],
)
def test_a_table_that_would_not_be_here_what_it_says_is_refused(
    stacks: Stacks, resources: Resources, message: str
) -> None:
    name = any_name("stack")
    stacks.create(name, resources)
    assert any(message in failure for failure in stacks.failures(name)), stacks.failures(name)
