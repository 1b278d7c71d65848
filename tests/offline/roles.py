"""Roles for tests that are about something else than permissions."""

import json
from collections.abc import Sequence
from typing import Any

from offline.account import Account

# Whoever assumes roles in the offline account.
SERVICES = ("codebuild", "credentials.iot", "iot", "lambda", "sagemaker", "states")


def make_role(account: Account, name: str, *actions: str, services: Sequence[str] = SERVICES) -> str:
    """The ARN of a new role that services of AWS may assume, and that may do this, or everything, to anything."""
    trusted = [f"{service}.amazonaws.com" for service in services]
    iam = account.client("iam")
    trust = _document({"Action": "sts:AssumeRole", "Principal": {"Service": trusted}})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    allowed = _document({"Action": list(actions or ("*",)), "Resource": "*"})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=allowed)
    return arn


def client_of(account: Account, service: str, role: str) -> Any:
    """A client of a service under a role."""
    given = account.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    return account.state.client(
        service,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def _document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
