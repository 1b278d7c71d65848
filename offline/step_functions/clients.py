"""The interpreter's own boto3 clients: this account's endpoint, with the credentials of the state machine's role."""

import threading
from typing import Any

from offline.state import State


class Clients:
    """Clients of one account, each role assumed once: moto's sessions outlive any execution."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._credentials: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def of(self, service: str, role_arn: str) -> Any:
        return self._state.client(service, **self._assume(role_arn))

    def _assume(self, role_arn: str) -> dict[str, str]:
        with self._lock:
            if role_arn not in self._credentials:
                answer = self._state.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="states")
                self._credentials[role_arn] = {
                    "aws_access_key_id": answer["Credentials"]["AccessKeyId"],
                    "aws_secret_access_key": answer["Credentials"]["SecretAccessKey"],
                    "aws_session_token": answer["Credentials"]["SessionToken"],
                }
            return self._credentials[role_arn]
