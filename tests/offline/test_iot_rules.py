"""The rules engine of the offline account: what is published reaches the functions, tables and buckets it is for."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from offline.account import Account
from offline.broker import Broker
from tests.offline.bench import any_name, until
from tests.offline.iot_core import TABLE, Core


@pytest.fixture(scope="module")
def core(account: Account) -> Core:
    return Core(account)


# ---- What reaches whom -----------------------------------------------------------------------------------------------


def test_a_message_reaches_subscribers_and_rules_of_its_topic_alone(core: Core, account: Account) -> None:
    here = any_name("here")
    heard: list[tuple[str, bytes]] = []
    account.state.only(Broker).subscribe(f"{here}/+", lambda topic, payload: heard.append((topic, payload)))
    core.rule(f"SELECT * FROM '{here}/+/health'", core.object(f"{here}/health/${{topic(2)}}"))
    core.rule(f"SELECT * FROM '{here}/#'", core.object(f"{here}/all/${{topic(2)}}"))
    core.publish(f"{here}/one/health", {"ok": True})
    core.publish(f"{here}/two", {"ok": False})
    assert core.stored(f"{here}/all/", 2) == [{"ok": True}, {"ok": False}]
    assert core.stored(f"{here}/health/") == [{"ok": True}]
    assert heard == [(f"{here}/two", b'{"ok": false}')]


SELECTIONS: dict[str, tuple[str, Any]] = {
    "everything": ("*", {"a": {"b": 1}, "c": None}),
    "a field": ("c", {"c": None}),
    "a field within a field": ("a.b", {"b": 1}),
    "a field under another name": ("a AS x, c", {"x": {"b": 1}, "c": None}),
    "a field that is missing": ("nothing, a.nothing AS x, c.nothing AS y", {}),
    "the topic and its levels": ("topic() AS t, topic(1) AS one, topic(9) AS nine", {"t": "s/reef/x", "one": "s"}),
    "everything and more": ("*, topic(2) as thing", {"a": {"b": 1}, "c": None, "thing": "reef"}),
    "more over everything": ("*, topic(2) AS a", {"a": "reef", "c": None}),
    "who it is from": ("clientid() AS client", {"client": "n/a"}),
    "the bytes": ("encode(*, 'base64') AS data", {"data": base64.b64encode(b'{"a": {"b": 1}, "c": null}').decode()}),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_the_selection_is(core: Core, name: str) -> None:
    fields, expected = SELECTIONS[name]
    prefix = any_name("selected")
    rule = core.rule(f"select {fields}\n from 's/+/x'", core.object(f"{prefix}/${{newuuid()}}"))
    core.publish("s/reef/x", {"a": {"b": 1}, "c": None})
    assert core.stored(f"{prefix}/") == [expected]
    core.iot.delete_topic_rule(ruleName=rule)


def test_the_time_is_in_milliseconds(core: Core) -> None:
    prefix = any_name("timed")
    core.rule(f"SELECT timestamp() AS at FROM '{prefix}'", core.object(f"{prefix}/${{timestamp()}}"))
    core.publish(prefix)
    (found,) = core.stored(prefix)
    assert core.keys(prefix) == [f"{prefix}/{found['at']}"]
    assert 1.7e12 < found["at"] < 1e13


def test_a_payload_that_is_no_json_passes_as_it_is(core: Core) -> None:
    topic = any_name("raw")
    core.rule(f"SELECT * FROM '{topic}'", core.object(f"{topic}/object"))
    core.publish(topic, b"\x1f\x8b\x00")
    until(lambda: core.keys(topic), bool)
    assert core.read(f"{topic}/object") == b"\x1f\x8b\x00"


def test_nothing_can_be_added_to_a_payload_that_is_no_json(core: Core) -> None:
    topic = any_name("raw")
    core.rule(f"SELECT *, topic() AS t FROM '{topic}'", core.object(f"{topic}/never"))
    core.rule(f"SELECT encode(*, 'base64') AS data, a FROM '{topic}'", core.object(f"{topic}/ever"))
    core.publish(topic, b"\xff")
    assert core.stored(f"{topic}/") == [{"data": "/w=="}]


def test_a_rule_that_changes_is_disabled_or_goes_acts_accordingly(core: Core) -> None:
    topic = any_name("topic")
    rule = core.rule(f"SELECT * FROM '{topic}'", core.object(f"{topic}/old/${{n}}"))
    core.rule(f"SELECT * FROM '{topic}'", core.object(f"{topic}/all/${{n}}"))
    changed = {
        "sql": f"SELECT n AS m FROM '{topic}'",
        "actions": [core.object(f"{topic}/new/${{n}}")],
        "awsIotSqlVersion": "2016-03-23",
    }
    core.publish(topic, {"n": 1})
    core.stored(f"{topic}/old/")
    core.iot.replace_topic_rule(ruleName=rule, topicRulePayload=changed)
    core.publish(topic, {"n": 2})
    assert core.stored(f"{topic}/new/") == [{"m": 2}]
    core.iot.disable_topic_rule(ruleName=rule)
    core.publish(topic, {"n": 3})
    core.iot.enable_topic_rule(ruleName=rule)
    core.publish(topic, {"n": 4})
    core.stored(f"{topic}/new/", 2)
    core.iot.delete_topic_rule(ruleName=rule)
    core.publish(topic, {"n": 5})
    core.stored(f"{topic}/all/", 5)
    assert core.keys(f"{topic}/new/") == [f"{topic}/new/2", f"{topic}/new/4"]
    assert core.keys(f"{topic}/old/") == [f"{topic}/old/1"]


def test_a_rule_may_act_twice_on_what_the_broker_has_twice(core: Core, account: Account) -> None:
    topic = any_name("twice")
    core.rule(f"SELECT * FROM '{topic}'", core.object(f"{topic}/${{newuuid()}}"))
    account.state.only(Broker).copies = 2
    core.publish(topic, {"n": 1})
    account.state.only(Broker).copies = 1
    assert core.stored(f"{topic}/", 2) == [{"n": 1}] * 2


# ---- Actions ---------------------------------------------------------------------------------------------------------


def test_a_function_gets_the_result_as_its_event(core: Core) -> None:
    topic = any_name("invoked")
    function = core.function(permitted_for="*")
    core.rule(f"SELECT n, topic(2) AS thing FROM '{topic}/+'", {"lambda": {"functionArn": function}})
    core.publish(f"{topic}/reef", {"n": 7})
    assert core.stored(f"{function.rpartition(':')[2]}/") == [{"n": 7, "thing": "reef"}]


@pytest.mark.parametrize(
    ("permitted_for", "payload", "reason"),
    [
        (None, b"{}", "does not let .* invoke it"),
        ("another_rule", b"{}", "does not let .* invoke it"),
        ("*", b"\xff", "takes JSON and the payload is none"),
    ],
)
def test_a_function_that_cannot_be_invoked_is_told_to_the_error_action(
    core: Core, permitted_for: str | None, payload: bytes, reason: str
) -> None:
    topic = any_name("failing")
    function = core.function(permitted_for=permitted_for)
    rule = core.rule(
        f"SELECT * FROM '{topic}'",
        {"lambda": {"functionArn": function}},
        errorAction=core.object(f"{topic}/${{newuuid()}}"),
    )
    core.publish(topic, payload)
    (told,) = core.stored(f"{topic}/")
    assert (told["ruleName"], told["topic"], told["clientId"]) == (rule, topic, "n/a")
    assert base64.b64decode(told["base64OriginalPayload"]) == payload
    (failure,) = told["failures"]
    assert (failure["failedAction"], failure["failedResource"]) == ("LambdaAction", function)
    assert re.search(reason, failure["errorMessage"])


def test_a_row_has_its_keys_and_the_result_beside_them(core: Core) -> None:
    topic = any_name("row")
    keys = {"hashKeyField": "thing", "hashKeyValue": "${topic(2)}"}
    ranged = {"rangeKeyField": "number", "rangeKeyValue": "${n}", "rangeKeyType": "NUMBER"}
    action = {"tableName": TABLE, "roleArn": core.role_arn, **keys, **ranged}
    core.rule(f"SELECT a, n FROM '{topic}/+'", {"dynamoDB": action}, {"dynamoDB": {**action, "payloadField": "x"}})
    core.publish(f"{topic}/{topic}", {"n": 3, "a": ["b", None, True, 1.5]})
    row = until(lambda: core.row(topic, 3), lambda row: "x" in row)
    values = {"L": [{"S": "b"}, {"NULL": True}, {"BOOL": True}, {"N": "1.5"}]}
    assert row == {"thing": {"S": topic}, "number": {"N": "3"}, "x": {"M": {"a": values, "n": {"N": "3"}}}}


def test_a_row_of_columns_has_one_for_each_field(core: Core) -> None:
    topic = any_name("columns")
    action = {"roleArn": core.role_arn, "putItem": {"tableName": TABLE}}
    core.rule(f"SELECT n AS number, topic(2) AS thing, a FROM '{topic}/+'", {"dynamoDBv2": action})
    core.publish(f"{topic}/{topic}", {"n": 1, "a": {"b": "c"}})
    assert core.row(topic, 1) == {"thing": {"S": topic}, "number": {"N": "1"}, "a": {"M": {"b": {"S": "c"}}}}


def test_a_managed_policy_of_the_role_permits_too(core: Core) -> None:
    topic, role = any_name("managed"), core.role("s3:GetObject")
    core.iam.attach_role_policy(
        RoleName=role.rpartition("/")[2], PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess"
    )
    core.rule(f"SELECT * FROM '{topic}'", core.object(f"{topic}/object", role=role))
    core.publish(topic, {"n": 1})
    assert core.stored(f"{topic}/") == [{"n": 1}]


FAILURES: dict[str, tuple[Callable[[Core], dict[str, Any]], str, str]] = {
    "a role that permits nothing": (
        lambda core: core.object("x", role=core.role("s3:GetObject")),
        "S3Action",
        "not authorized to perform: s3:PutObject on resource: arn:aws:s3:::from-devices/x",
    ),
    "a role that only others may assume": (
        lambda core: core.object("x", role=core.role("s3:*", service="lambda")),
        "S3Action",
        "trust policy does not name iot.amazonaws.com",
    ),
    "a role that is not there": (
        lambda core: core.object("x", role="arn:aws:iam::123456789012:role/nobody"),
        "S3Action",
        "cannot assume .*role/nobody",
    ),
    "a bucket that is not there": (lambda core: core.object("x", bucket="nowhere"), "S3Action", "NoSuchBucket"),
    "a key of nothing": (lambda core: core.object("${nothing}"), "S3Action", "nothing.* is undefined"),
    "a row without its key": (
        lambda core: {"dynamoDBv2": {"roleArn": core.role_arn, "putItem": {"tableName": TABLE}}},
        "DynamoDBv2Action",
        "key",
    ),
    "a function that is not there": (
        lambda _: {"lambda": {"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:nobody"}},
        "LambdaAction",
        "nobody",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_keeps_nothing_else_from_happening(core: Core, name: str) -> None:
    action, kind, reason = FAILURES[name]
    topic = any_name("failing")
    core.rule(
        f"SELECT * FROM '{topic}'",
        action(core),
        core.object(f"{topic}/done"),
        errorAction=core.object(f"{topic}/failed"),
    )
    core.publish(topic, {"n": 1})
    core.stored(f"{topic}/", 2)
    (failure,) = json.loads(core.read(f"{topic}/failed"))["failures"]
    assert failure["failedAction"] == kind
    assert re.search(reason, failure["errorMessage"])
