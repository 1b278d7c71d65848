"""Which IoT rules the offline account takes, through the API and in stacks."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from tests.offline.bench import any_name
from tests.offline.iot_core import BUCKET, Core
from tests.offline.stack_driver import Resources, Stacks


@pytest.fixture(scope="module")
def core(account: Account) -> Core:
    return Core(account)


def refusal(code: str, message: str = "") -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\).*{message}")


# ---- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM 'a' WHERE n > 1", "goes on with"),
        ("SET @x = 1 SELECT * FROM 'a'", "is not of the form"),
        ("SELECT * FROM a", "is not of the form"),
        ("SELECT FROM 'a'", "is not of the form"),
        ("DELETE * FROM 'a'", "is not of the form"),
        ("SELECT VALUE a FROM 'a'", "is not known here"),
        ("SELECT a + 1 AS b FROM 'a'", "is not known here"),
        ("SELECT a, FROM 'a'", "is not known here"),
        ("SELECT a b FROM 'a'", "is not known here"),
        ("SELECT a[0] FROM 'a'", "is not known here"),
        ("SELECT 1 AS one FROM 'a'", "is not known here"),
        ("SELECT topic(0) AS t FROM 'a'", "expression 'topic.0.'"),
        ("SELECT get(*, 0) AS g FROM 'a'", "expression 'get"),
        ("SELECT aws_lambda('f', a) AS g FROM 'a'", "aws_lambda.'f', a."),
        ("SELECT upper(a) AS u FROM 'a'", "expression 'upper"),
        ("SELECT topic(1) FROM 'a'", "say topic.1. AS name"),
        ("SELECT * AS x FROM 'a'", "cannot be renamed"),
        ("SELECT a.b, c.b FROM 'a'", "two values the name 'b'"),
        ("SELECT * FROM 'a/#/b'", "goes on after #"),
        ("SELECT * FROM ''", "0 bytes"),
    ],
)
def test_a_statement_that_is_not_evaluated_here_is_refused(core: Core, sql: str, message: str) -> None:
    with refusal("SqlParseException", message):
        core.rule(sql)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"awsIotSqlVersion": "2015-10-08"}, "NotImplemented", "known is 2016-03-23"),
        ({"actions": [{"republish": {"roleArn": "r", "topic": "t"}}]}, "NotImplemented", "known are lambda, dynamoDB"),
        ({"errorAction": {"sqs": {"roleArn": "r", "queueUrl": "q"}}}, "NotImplemented", "known are lambda"),
        ({"actions": [{}]}, "InvalidRequestException", "of 0 kinds"),
        ({"actions": [{"lambda": {"functionArn": "f"}}]}, "InvalidRequestException", "must be the ARN"),
        (
            {"actions": [{"s3": {"roleArn": "r", "bucketName": "b", "key": "${a + 1}"}}]},
            "InvalidRequestException",
            "'a . 1' is not known",
        ),
        (
            {"actions": [{"s3": {"roleArn": "r", "bucketName": "b", "key": "${a"}}]},
            "InvalidRequestException",
            "without its own",
        ),
        (
            {
                "actions": [
                    {
                        "dynamoDB": {
                            **dict.fromkeys(("tableName", "roleArn", "hashKeyField", "hashKeyValue"), "x"),
                            "operation": "DELETE",
                        }
                    }
                ]
            },
            "NotImplemented",
            "known is INSERT",
        ),
    ],
)
def test_a_rule_that_would_not_do_here_what_it_says_is_refused(
    core: Core, changes: dict[str, Any], code: str, message: str
) -> None:
    payload = {"sql": "SELECT * FROM 'a'", "actions": [], "awsIotSqlVersion": "2016-03-23"} | changes
    iot = core.account.client("iot")
    before = iot.list_topic_rules()["rules"]
    with refusal(code, message):
        iot.create_topic_rule(ruleName="refused", topicRulePayload=payload)
    assert iot.list_topic_rules()["rules"] == before


def test_a_name_is_taken_once_and_a_rule_that_is_not_there_cannot_be_replaced(core: Core) -> None:
    payload = {"sql": "SELECT * FROM 'a'", "actions": [], "awsIotSqlVersion": "2016-03-23"}
    name = core.rule("SELECT * FROM 'a'")
    with refusal("ResourceAlreadyExistsException"):
        core.iot.create_topic_rule(ruleName=name, topicRulePayload=payload)
    with refusal("ResourceNotFoundException"):
        core.iot.replace_topic_rule(ruleName="nobody", topicRulePayload=payload)
    with refusal("InvalidRequestException", "regular expression"):
        core.iot.create_topic_rule(ruleName="with-dash", topicRulePayload=payload)


def test_a_message_that_the_broker_does_not_take_is_refused(core: Core) -> None:
    with refusal("InvalidRequestException", "wildcard"):
        core.publish("a/#")
    with refusal("NotImplemented", "retain"):
        core.data.publish(topic="a", payload=b"", retain=True)


# ---- Stacks ----------------------------------------------------------------------------------------------------------


def stacked(core: Core, topic: str, **payload: Any) -> Resources:
    s3 = {"S3": {"RoleArn": core.role_arn, "BucketName": BUCKET, "Key": f"{topic}/${{n}}"}}
    given = {"Sql": f"SELECT * FROM '{topic}'", "Actions": [s3], "AwsIotSqlVersion": "2016-03-23"} | payload
    tags = [{"Key": "a", "Value": "b"}]
    return {"Rule": {"Type": "AWS::IoT::TopicRule", "Properties": {"TopicRulePayload": given, "Tags": tags}}}


def test_a_stack_makes_changes_and_removes_its_rule(core: Core, stacks: Stacks) -> None:
    name, topic = any_name("stack"), any_name("stacked")
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Rule", "Arn"]}}}
    stack = stacks.create(name, stacked(core, topic), Outputs=outputs)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.failures(name)
    rule = stacks.ids(name)["Rule"]
    assert stack["Values"]["Arn"] == f"arn:aws:iot:us-east-1:123456789012:rule/{rule}"
    core.publish(topic, {"n": 1})
    core.stored(f"{topic}/")

    changed = stacked(core, topic, Sql=f"SELECT n FROM '{topic}'", RuleDisabled="true")
    assert stacks.update(name, changed)["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.ids(name)["Rule"] == rule
    assert core.iot.get_topic_rule(ruleName=rule)["rule"]["ruleDisabled"]

    assert stacks.delete(name) == "DELETE_COMPLETE"
    assert rule not in [found["ruleName"] for found in core.iot.list_topic_rules()["rules"]]


def test_a_stack_with_a_statement_that_is_not_evaluated_here_fails(core: Core, stacks: Stacks) -> None:
    name = any_name("stack")
    stacks.create(name, stacked(core, "a", Sql="SELECT * FROM 'a' WHERE n > 1"))
    assert any("goes on with" in failure for failure in stacks.failures(name))
