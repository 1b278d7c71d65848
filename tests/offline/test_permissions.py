"""What policies permit: of roles that rules act under, and of devices that publish and subscribe."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from offline.broker import Broker, Link
from offline.device import provision
from offline.permissions import permits, trusts
from tests.offline.fleet import Fleet, any_name, opened

OBJECT = "arn:aws:s3:::bucket/a/b"


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "s3:PutObject", "Resource": OBJECT} | elements


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


NOT_ACTION = {"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}
NOT_RESOURCE = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::bucket/b/*"}


@pytest.mark.parametrize(
    "statements",
    [
        [statement()],
        [statement(Action=["s3:GetObject", "S3:put*"])],
        [statement(Resource=["arn:aws:s3:::other/*", "arn:aws:s3:::bucket/*"])],
        [statement(Resource="arn:aws:s3:::bucket/?/b")],
        [statement(Condition={"Bool": {"aws:SecureTransport": "true"}})],
        [statement(), statement("Deny", Action="s3:GetObject")],
        [statement(), statement("Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})],
        [NOT_ACTION],
        [NOT_RESOURCE],
    ],
)
def test_it_is_permitted_by(statements: list[dict[str, Any]]) -> None:
    assert permits([policy(*statements)], "s3:PutObject", OBJECT)


PASSED = statement(Condition={"StringEquals": {"iam:PassedToService": ["sagemaker.amazonaws.com"]}})
BELOW = statement(Condition={"StringLike": {"s3:prefix": ["rounds/*", "gold/*"]}})


@pytest.mark.parametrize(
    ("conditional", "context", "permitted"),
    [
        (PASSED, {"iam:PassedToService": "sagemaker.amazonaws.com"}, True),
        (PASSED, {"iam:PassedToService": "lambda.amazonaws.com"}, False),
        (BELOW, {"s3:prefix": "gold/a"}, True),
        (BELOW, {"s3:prefix": ""}, False),
        (BELOW, {"iam:PassedToService": "lambda.amazonaws.com"}, True),
    ],
)
def test_what_the_call_tells_is_compared_with_conditions(
    conditional: dict[str, Any], context: dict[str, str], permitted: bool
) -> None:
    assert permits([policy(conditional)], "s3:PutObject", OBJECT, context) == permitted


def test_a_variable_stands_for_what_the_call_tells() -> None:
    own = policy(statement(Resource="arn:aws:s3:::bucket/${credentials-iot:ThingName}/*"))
    assert permits([own], "s3:PutObject", OBJECT, {"credentials-iot:ThingName": "a"})
    assert not permits([own], "s3:PutObject", OBJECT, {"credentials-iot:ThingName": "b"})
    assert not permits([own], "s3:PutObject", OBJECT)


def test_a_resource_that_is_not_known_may_be_any_that_is_allowed() -> None:
    assert permits([policy(statement(), statement("Deny", Resource="arn:aws:s3:::a/*"))], "s3:PutObject", None)
    assert not permits([policy(statement(), statement("Deny", Resource="*"))], "s3:PutObject", None)
    assert not permits([policy(statement())], "s3:GetObject", None)


def test_an_action_on_no_resource_takes_a_statement_about_all() -> None:
    assert permits([policy(statement(Resource="*"))], "s3:PutObject", "*")
    assert not permits([policy(statement(Resource="arn:aws:s3:::bucket/*"))], "s3:PutObject", "*")


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [
        ({}, True),
        ({"Principal": {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]}}, True),
        ({"Principal": {"Service": "states.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "lambda.amazonaws.com"}}, False),
        ({"Principal": "*"}, False),
        ({"Action": "sts:TagSession"}, False),
        ({"Effect": "Deny"}, False),
    ],
)
def test_a_trust_policy_names_who_may_assume_the_role(changes: dict[str, Any], trusted: bool) -> None:
    given = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}, **changes}
    assert trusts(policy(given), "lambda.amazonaws.com") == trusted


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [statement(Action="s3:GetObject")],
        [statement(Resource="arn:aws:s3:::bucket/a")],
        [statement(Resource="arn:aws:s3:::bucket/A/b")],
        [statement(Resource="arn:aws:s3:::bucket/a.b")],
        [statement(), statement("Deny", Action="s3:*", Resource="*")],
        [statement("Deny")],
        [NOT_ACTION | {"NotAction": "s3:Put*"}],
        [NOT_RESOURCE | {"NotResource": "arn:aws:s3:::bucket/a/*"}],
    ],
)
def test_it_is_not_permitted_by(statements: list[dict[str, Any]]) -> None:
    assert not permits([policy(*statements)], "s3:PutObject", OBJECT)


def test_one_policy_may_deny_what_another_allows() -> None:
    allowing, denying = policy(statement()), {"Version": "2012-10-17", "Statement": statement("Deny")}
    assert permits([allowing], "s3:PutObject", OBJECT)
    assert not permits([allowing, denying], "s3:PutObject", OBJECT)


# ---- Devices ---------------------------------------------------------------------------------------------------------


def device_policy(*topics: str) -> str:
    """A policy that permits these topics."""
    arn = "arn:aws:iot:us-east-1:123456789012"
    return json.dumps(
        policy(
            statement(Action=["iot:Publish", "iot:Receive"], Resource=[f"{arn}:topic/{topic}" for topic in topics]),
            statement(Action="iot:Subscribe", Resource=[f"{arn}:topicfilter/{topic}" for topic in topics]),
        )
    )


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        yield fleet


@pytest.fixture
def link(fleet: Fleet) -> Link:
    """That of a device which may use the topics below `mine`."""
    name = any_name("policy")
    fleet.iot.create_policy(policyName=name, policyDocument=device_policy("mine/*"))
    return provision(fleet.account.state, name, groups=[], role_alias="exchange", policy=name).link


def test_a_device_that_publishes_where_it_may_not_is_disconnected(fleet: Fleet, link: Link) -> None:
    heard: list[str] = []
    ups: list[bool] = []
    fleet.account.state.only(Broker).subscribe("#", lambda topic, _: heard.append(topic))
    link.watch(ups.append)
    link.publish("mine/a", b"")
    with pytest.raises(ConnectionError, match="no policy of its certificate permits iot:Publish on topic/yours"):
        link.publish("yours", b"")
    assert heard == ["mine/a"]
    assert ups == [False, True]


def test_a_device_hears_only_what_it_may_receive(fleet: Fleet, link: Link) -> None:
    heard: list[str] = []
    broker = fleet.account.state.only(Broker)
    with pytest.raises(ConnectionError, match="iot:Subscribe on topicfilter/#"):
        link.subscribe("#", lambda topic, _: heard.append(topic))
    link.subscribe("mine/#", lambda topic, _: heard.append(topic))
    broker.publish("mine", b"")  # the filter takes it, the policy does not
    broker.publish("mine/a", b"")
    assert heard == ["mine/a"]


def test_a_new_version_of_its_policy_counts_at_once(fleet: Fleet, link: Link) -> None:
    document = device_policy("mine/*", "yours")
    fleet.iot.create_policy_version(policyName=link.client, policyDocument=document, setAsDefault=True)
    link.publish("yours", b"")
