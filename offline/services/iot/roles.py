"""Roles that rules act under: whether AWS IoT may assume them, and what their policies permit."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from offline.permissions import permits
from offline.state import ACCOUNT_ID, State

_IOT = "iot.amazonaws.com"


class Roles:
    """The roles of one account, each assumed once. Safe to use from any thread."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._credentials: dict[str, dict[str, str]] = {}
        self._assuming = threading.Lock()

    def client(self, service: str, role_arn: str, *, action: str, resource: str) -> Any:
        """A client under a role that permits the action.

        Raises:
            PermissionError: AWS IoT may not assume the role, or its policies do not permit the action.
        """
        name = role_arn.rpartition("/")[2]
        credentials = self._assume(name, role_arn)
        if not permits(self._policies(name), action, resource):
            raise PermissionError(f"{role_arn} is not authorized to perform {action} on {resource}")
        return self._state.client(service, **credentials)

    def _assume(self, name: str, role_arn: str) -> dict[str, str]:
        with self._assuming:
            if role_arn not in self._credentials:
                try:
                    role = self._state.client("iam").get_role(RoleName=name)["Role"]
                except ClientError as error:
                    raise PermissionError(f"AWS IoT cannot assume {role_arn}: {error}") from error
                if not _trusts(role["AssumeRolePolicyDocument"]):
                    raise PermissionError(f"AWS IoT cannot assume {role_arn}: its trust policy does not name {_IOT}")
                given = self._state.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="iot-rule")
                self._credentials[role_arn] = {
                    "aws_access_key_id": given["Credentials"]["AccessKeyId"],
                    "aws_secret_access_key": given["Credentials"]["SecretAccessKey"],
                    "aws_session_token": given["Credentials"]["SessionToken"],
                }
            return self._credentials[role_arn]

    def _policies(self, role: str) -> Iterator[Mapping[str, Any]]:
        # Every message asks: through the API that would cost tens of milliseconds.
        backend = iam_backends[ACCOUNT_ID]["aws"]
        for name in backend.list_role_policies(role):
            yield json.loads(backend.get_role_policy(role, name)[1])
        for attached in backend.get_role(role).managed_policies.values():
            yield json.loads(next(version.document for version in attached.versions if version.is_default))


def _trusts(document: Any) -> bool:
    document = json.loads(document) if isinstance(document, str) else document
    for statement in document["Statement"]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement["Effect"] == "Allow" and _IOT in ([services] if isinstance(services, str) else services):
            return True
    return False
