"""Whether a function's own policy lets a service invoke it."""

import json
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError


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
    return any(_permits(statement, service, source_arn) for statement in json.loads(policy)["Statement"])


def _permits(statement: dict[str, Any], service: str, source_arn: str) -> bool:
    arns = [
        arn
        for condition in statement.get("Condition", {}).values()
        for key, arn in condition.items()
        if key.lower() == "aws:sourcearn"
    ]
    named = statement.get("Principal", {})
    principal = named.get("Service") if isinstance(named, dict) else named
    return principal == service and all(fnmatchcase(source_arn, arn) for arn in arns)
