"""What the parts of one running account share: where it keeps files, how it is reached, who labels, what fails."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config

from offline.faults import Faults

ACCOUNT_ID = "123456789012"  # moto's own


class Crew(Protocol):
    """The people of the private workforce; offline/crew.py has the simulated ones."""

    def answers(self, image: bytes, categories: list[str], workers: int, team: str) -> list[tuple[str, str, float]]:
        """One answer per worker asked: (worker id, label, seconds spent). Empty when nobody knows the image."""
        ...


@dataclass
class State:
    """One offline account. `endpoint` is known once the server listens."""

    folder: Path
    region: str = "us-east-1"
    crew: Crew | None = None
    faults: Faults = field(default_factory=Faults)
    endpoint: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_* variables that lead the AWS CLI, the CDK CLI, boto3 and a child process to this account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "offline",
            "AWS_SECRET_ACCESS_KEY": "offline",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str, **credentials: str) -> Any:
        """A boto3 client of this account; `credentials` are those of an assumed role."""
        session = boto3.Session(
            aws_access_key_id=credentials.get("aws_access_key_id", "offline"),
            aws_secret_access_key=credentials.get("aws_secret_access_key", "offline"),
            aws_session_token=credentials.get("aws_session_token"),
            region_name=self.region,
        )
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=self.endpoint, config=config)
