"""AWS credentials for a device's certificate, as the credentials provider of AWS IoT gives them.

https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from offline import roles
from offline.cloudformation.resource import is_absent
from offline.state import State

# The nucleus asks for new ones before the old ones end:
# https://github.com/aws-greengrass/aws-greengrass-nucleus/blob/main/src/main/java/com/aws/greengrass/tes/CredentialRequestHandler.java
RENEWED_BEFORE_END: Final = timedelta(minutes=5)


class Denied(PermissionError):
    """The credentials provider gives nothing for this certificate."""


class Credentials(NamedTuple):
    """What a role gives for a while; `expiration` is aware."""

    access_key: str
    secret_key: str
    session_token: str
    expiration: datetime

    @property
    def keywords(self) -> dict[str, str]:
        """As boto3.client takes them."""
        return {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.session_token,
        }


class Exchange:
    """One device's way to credentials. Call it for those of this moment. Safe to use from any thread."""

    def __init__(self, state: State, *, role_alias: str, certificate_id: str) -> None:
        self._state, self._role_alias, self._certificate_id = state, role_alias, certificate_id
        self._kept: Credentials | None = None
        self._asking = threading.Lock()

    def __call__(self) -> Credentials:
        """The credentials kept, while they last five minutes more; otherwise new ones.

        Raises:
            Denied: the certificate is not active, or the role alias or its role is gone.
        """
        with self._asking:
            if self._kept is None or self._kept.expiration - datetime.now(UTC) < RENEWED_BEFORE_END:
                self._kept = self._ask()
            return self._kept

    def forget(self) -> None:
        """Keep nothing: whoever asks next gets new credentials."""
        with self._asking:
            self._kept = None

    def _ask(self) -> Credentials:
        iot, sts = (self._state.client(service) for service in ("iot", "sts"))
        try:
            status = iot.describe_certificate(certificateId=self._certificate_id)["certificateDescription"]["status"]
            if status != "ACTIVE":
                raise Denied(f"certificate {self._certificate_id} is {status}; only an ACTIVE one is exchanged")
            alias = iot.describe_role_alias(roleAlias=self._role_alias)["roleAliasDescription"]
            roles.check_trust(alias["roleArn"], "credentials.iot.amazonaws.com")
        except PermissionError as error:
            raise Denied(f"role alias {self._role_alias}: {error}") from error
        except ClientError as error:
            if is_absent(error):
                raise Denied(f"role alias {self._role_alias}: {error}") from error
            raise
        # The session is named after the certificate.
        given: Mapping[str, Any] = sts.assume_role(
            RoleArn=alias["roleArn"],
            RoleSessionName=self._certificate_id[:64],
            DurationSeconds=alias["credentialDurationSeconds"],
        )["Credentials"]
        return Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"].astimezone(UTC)
        )
