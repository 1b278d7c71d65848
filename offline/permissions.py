"""What policies permit: of roles, of devices, of functions."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError


def permits(
    policies: Iterable[Mapping[str, Any]], action: str, resource: str | None, context: Mapping[str, str] | None = None
) -> bool:
    """Whether some statement of these policy documents allows an action on a resource, and none denies it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    What is denied under a condition does not count.

    Args:
        action: as policies write it: s3:PutObject.
        resource: an ARN; "*" for an action that takes none; None where it is not known: what is allowed on any resource
            counts, what is denied on some does not.
        context: by their keys (iam:PassedToService), the values that StringEquals and StringLike compare and that stand
            for variables in resources. Conditions on other keys or of other kinds count as met; other variables are
            text that stands for nothing else.
    """
    context, allowed = context or {}, False
    for policy in policies:
        for statement in _list(policy["Statement"]):
            if not _concerns(statement, "Action", action.lower()):
                continue
            if statement["Effect"] == "Allow":
                known = resource is None or _concerns(statement, "Resource", resource, context)
                allowed = allowed or (known and _met(statement, context))
            elif not statement.get("Condition") and _concerns(statement, "Resource", resource or "*", context):
                return False
    return allowed


def trusts(document: Mapping[str, Any], service: str) -> bool:
    """Whether a role's trust policy lets a service assume the role. Conditions count as met."""
    return any(
        statement["Effect"] == "Allow"
        and _concerns(statement, "Action", "sts:assumerole")
        and isinstance(statement.get("Principal"), Mapping)
        and service in _list(statement["Principal"].get("Service", []))
        for statement in _list(document.get("Statement", []))
    )


def may_invoke(functions: Any, function: str, *, service: str, source_arn: str) -> bool:
    """Whether the policy of `function` permits `service` to invoke it for `source_arn`; a missing policy does not.

    https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html

    Args:
        functions: a boto3 client of Lambda.
        source_arn: of what the service acts for, as conditions of AWS:SourceArn name it.

    Raises:
        ClientError: there is no such function.
    """
    try:
        policy = functions.get_policy(FunctionName=function)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        functions.get_function(FunctionName=function)  # says so if it is the function that is missing
        return False
    return any(_lets_invoke(statement, service, source_arn) for statement in json.loads(policy)["Statement"])


def _lets_invoke(statement: Mapping[str, Any], service: str, source_arn: str) -> bool:
    arns = [
        arn
        for condition in statement.get("Condition", {}).values()
        for key, arn in condition.items()
        if key.lower() == "aws:sourcearn"
    ]
    named = statement.get("Principal", {})
    principal = named.get("Service") if isinstance(named, Mapping) else named
    return principal == service and all(_pattern(arn).fullmatch(source_arn) for arn in arns)


def _concerns(statement: Mapping[str, Any], element: str, value: str, variables: Mapping[str, str] = {}) -> bool:
    """Whether the Action or the Resource of a statement, or its NotAction or NotResource, takes a value."""
    inverted = f"Not{element}" in statement
    patterns = _list(statement.get(f"Not{element}" if inverted else element, []))
    for name, known in variables.items():
        patterns = [one.replace(f"${{{name}}}", known) for one in patterns]
    lower = element == "Action"
    found = any(_pattern(one.lower() if lower else one).fullmatch(value) for one in patterns)
    return found != inverted


def _met(statement: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Whether none of a statement's conditions, as far as they are known here, speaks against it."""
    return all(
        any(value == one if operator == "StringEquals" else _pattern(one).fullmatch(value) for one in _list(values))
        for operator in ("StringEquals", "StringLike")
        for key, values in statement.get("Condition", {}).get(operator, {}).items()
        if (value := context.get(key)) is not None
    )


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    escaped = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in text)
    return re.compile("".join(escaped), re.DOTALL)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
