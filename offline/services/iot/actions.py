"""What a rule does with its result: invoke a function, write to a table, put an object.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-rule-actions.html
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from offline.permissions import may_invoke
from offline.roles import Clients
from offline.services.iot.expressions import UNDEFINED, Message, fill, templates
from offline.services.iot.sql import Result
from offline.state import State

_FUNCTION: Final = re.compile(r"arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?")


class Failed(Exception):
    """An action did not succeed."""


class Errand(NamedTuple):
    """What one action of one rule is given."""

    rule_arn: str
    given: Mapping[str, Any]
    message: Message
    result: Result


class Kind(NamedTuple):
    """One kind of action: what the error action calls it, the parameter that says what it acts on, and how it acts."""

    title: str
    resource: str
    run: "Callable[[Actions, Errand], None]"


class Actions:
    """The actions of one account's rules."""

    def __init__(self, state: State) -> None:
        self._state, self._clients = state, Clients(state, service="iot.amazonaws.com", session="iot-rule")

    def run(self, action: Mapping[str, Any], rule_arn: str, message: Message, result: Result) -> None:
        """Do it.

        Raises:
            Exception: whatever kept it from succeeding.
        """
        ((kind, given),) = action.items()
        KINDS[kind].run(self, Errand(rule_arn, given, message, result))

    def invoke(self, errand: Errand) -> None:
        """https://docs.aws.amazon.com/iot/latest/developerguide/lambda-rule-action.html"""
        function = errand.given["functionArn"]
        if errand.result.document is UNDEFINED:
            raise Failed(f"{function} takes JSON and the payload is none; SELECT encode(*, 'base64') AS data")
        functions = self._state.client("lambda")
        if not may_invoke(functions, function, service="iot.amazonaws.com", source_arn=errand.rule_arn):
            raise PermissionError(f"the policy of {function} does not let {errand.rule_arn} invoke it")
        functions.invoke(FunctionName=function, InvocationType="Event", Payload=errand.result.raw)

    def put_row(self, errand: Errand) -> None:
        """https://docs.aws.amazon.com/iot/latest/developerguide/dynamodb-rule-action.html"""
        given, result = errand.given, errand.result
        item: dict[str, Any] = {given["hashKeyField"]: _key(errand, "hashKey")}
        if "rangeKeyField" in given:
            item[given["rangeKeyField"]] = _key(errand, "rangeKey")
        item[given.get("payloadField") or "payload"] = (
            {"B": result.raw} if result.document is UNDEFINED else _attribute(result.document)
        )
        self._put(errand, given["tableName"], item)

    def put_columns(self, errand: Errand) -> None:
        """https://docs.aws.amazon.com/iot/latest/developerguide/dynamodb-v2-rule-action.html"""
        document, table = errand.result.document, errand.given["putItem"]["tableName"]
        if not isinstance(document, dict):
            raise Failed(f"a row of {table} is made of a JSON object, and the result is none")
        self._put(errand, table, {name: _attribute(value) for name, value in document.items()})

    def _put(self, errand: Errand, table: str, item: Mapping[str, Any]) -> None:
        tables = self._clients.of("dynamodb", errand.given["roleArn"])
        tables.put_item(TableName=fill(table, errand.message), Item=item)

    def put_object(self, errand: Errand) -> None:
        """https://docs.aws.amazon.com/iot/latest/developerguide/s3-rule-action.html"""
        given = errand.given
        bucket, key = fill(given["bucketName"], errand.message), fill(given["key"], errand.message)
        acl = {"ACL": given["cannedAcl"]} if "cannedAcl" in given else {}
        self._clients.of("s3", given["roleArn"]).put_object(Bucket=bucket, Key=key, Body=errand.result.raw, **acl)


KINDS: Final[Mapping[str, Kind]] = {
    "lambda": Kind("LambdaAction", "functionArn", Actions.invoke),
    "dynamoDB": Kind("DynamoDBAction", "tableName", Actions.put_row),
    "dynamoDBv2": Kind("DynamoDBv2Action", "putItem", Actions.put_columns),
    "s3": Kind("S3Action", "bucketName", Actions.put_object),
}


def check(action: Mapping[str, Any]) -> None:
    """Refuse an action that could never succeed, or not here.

    Raises:
        ValueError: AWS refuses it too, or an expression in it is not known here.
        NotImplementedError: AWS takes it.
    """
    if len(action) != 1:
        raise ValueError(f"an action is of {len(action)} kinds ({', '.join(action) or 'none'}); it must be of one")
    ((kind, given),) = action.items()
    if kind not in KINDS:
        raise NotImplementedError(f"an action of a rule is {kind}; known are {', '.join(KINDS)}")
    if kind == "lambda" and not _FUNCTION.fullmatch(given["functionArn"]):
        raise ValueError(f"functionArn is {given['functionArn']!r}; it must be the ARN of a function")
    if kind == "dynamoDB" and given.get("operation", "INSERT") != "INSERT":
        raise NotImplementedError(f"the operation of a dynamoDB action is {given['operation']}; known is INSERT")
    if kind == "dynamoDB" and ("rangeKeyField" in given) != ("rangeKeyValue" in given):
        raise ValueError("rangeKeyField and rangeKeyValue are given together or not at all")
    for value in [*given.values(), given.get("putItem", {}).get("tableName")]:
        if isinstance(value, str):
            list(templates(value))


def _key(errand: Errand, which: str) -> dict[str, str]:
    text = fill(errand.given[f"{which}Value"], errand.message)
    return {"N" if errand.given.get(f"{which}Type") == "NUMBER" else "S": text}


def _attribute(value: Any) -> dict[str, Any]:
    """A JSON value as DynamoDB writes it."""
    if isinstance(value, str):
        return {"S": value}
    if value is None or isinstance(value, bool):
        return {"NULL": True} if value is None else {"BOOL": value}
    if isinstance(value, list):
        return {"L": [_attribute(item) for item in value]}
    if isinstance(value, dict):
        return {"M": {name: _attribute(item) for name, item in value.items()}}
    return {"N": json.dumps(value)}
