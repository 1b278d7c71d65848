"""The account's roles: which service may assume them, and what their policies say."""

import json
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from moto.iam.models import Role, iam_backends

from offline.permissions import permits, trusts
from offline.state import ACCOUNT_ID, State


def find(role_arn: str) -> Role | None:
    """The role of this ARN; None when there is none, or not any more."""
    # Every request asks: through the API that would cost milliseconds.
    roles = list(iam_backends[ACCOUNT_ID]["aws"].roles.values())
    return next((role for role in roles if role.arn == role_arn), None)


def may(role_arn: str, action: str, resource: str | None, context: Mapping[str, str]) -> bool:
    """Whether a role's policies, its own and the managed ones, permit an action: see `permits`. No role may nothing."""
    role = find(role_arn)
    return role is not None and permits(_policies(role), action, resource, context)


def _policies(role: Role) -> Iterator[Mapping[str, Any]]:
    for document in list(role.policies.values()):
        yield _parsed(document)
    for attached in list(role.managed_policies.values()):
        yield _parsed(next(version.document for version in attached.versions if version.is_default))


def check_trust(role_arn: str, service: str) -> None:
    """Make sure that a service may assume a role.

    Args:
        service: the principal that the role's trust policy must name: lambda.amazonaws.com.

    Raises:
        PermissionError: there is no such role, or its trust policy does not name the service.
    """
    role = find(role_arn)
    if role is None:
        raise PermissionError(f"{service} cannot assume {role_arn}: there is no such role")
    if not trusts(_parsed(role.assume_role_policy_document), service):
        raise PermissionError(f"{service} cannot assume {role_arn}: its trust policy does not name {service}")


def assume(state: State, role_arn: str, *, service: str, session: str) -> dict[str, str]:
    """Credentials that a service gets for a role, as boto3's client factory names them.

    Raises:
        PermissionError: as `check_trust`.
    """
    check_trust(role_arn, service)
    given = state.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


class Clients:
    """One service's boto3 clients under roles, each role assumed once: moto's sessions do not end.

    Safe to use from any thread.
    """

    def __init__(self, state: State, *, service: str, session: str) -> None:
        self._state, self._service, self._session = state, service, session
        self._credentials: dict[str, dict[str, str]] = {}
        self._assuming = threading.Lock()

    def of(self, service: str, role_arn: str) -> Any:
        """A client of a service under a role.

        Raises:
            PermissionError: as `check_trust`.
        """
        with self._assuming:
            if role_arn not in self._credentials:
                self._credentials[role_arn] = assume(
                    self._state, role_arn, service=self._service, session=self._session
                )
            return self._state.client(service, **self._credentials[role_arn])


@lru_cache(maxsize=1024)
def _parsed(document: str) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(document)
    return parsed
