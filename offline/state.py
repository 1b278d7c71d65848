"""What the parts of one running account share: where it keeps files, how it is reached, who labels, what fails."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import boto3
from botocore.config import Config

from offline.boxes import Box
from offline.faults import Faults

ACCOUNT_ID = "123456789012"  # moto's own

# Paths as S3's style: the host name must stay localhost, and no resolver knows bucket.localhost.
# No retries: an error here is the account's own answer, and a second try would hide a fault planned for one call.
_CONFIG = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=64)


_T = TypeVar("_T")
_making_clients = threading.Lock()  # a session is not safe to share between threads


@cache
def _session() -> Any:
    """One for all accounts of the process, since every session reads the models of the services anew."""
    return boto3.Session()


# What a page asks of a person: a class, boxes, whether the boxes shown are right, or the boxes shown put right.
Work = Literal["classify", "draw", "verify", "adjust"]


class Answer(NamedTuple):
    """What one person said about one object: a class (or a verdict), or boxes."""

    worker: str
    content: str | list[Box]
    seconds: float


class Bus(Protocol):
    """The account's event bus; offline/services/events.py has it."""

    def send(self, source: str, detail_type: str, *, resource: str, detail: Mapping[str, Any]) -> None:
        """Tell whoever asked for such events, without waiting for them."""
        ...


class Crew(Protocol):
    """The people of the private workforce; offline/crew.py has the simulated ones."""

    def answers(
        self,
        image: bytes,
        categories: list[str],
        workers: int,
        team: str,
        *,
        work: Work = "classify",
        shown: Sequence[Box] = (),
    ) -> list[Answer]:
        """One answer per worker who answers, at most `workers`. Empty when nobody knows the image.

        Args:
            categories: what there is to choose from; in verification the first of them says that all is right.
            shown: the boxes that the page shows, where somebody drew some before.
        """
        ...


@dataclass
class State:
    """One offline account. `endpoint` is known once the server listens.

    Whatever starts a thread or a process for the account registers how to end it with `closing.callback(...)`;
    the account runs those, newest first, before its server stops.
    """

    folder: Path
    region: str = "us-east-1"
    crew: Crew | None = None
    vendor_workteams: set[str] = field(default_factory=set)
    """ARNs of the vendors' work teams that the account subscribed to: AWS Marketplace does that, no API here."""
    faults: Faults = field(default_factory=Faults)
    endpoint: str = ""
    events: Bus | None = None
    closing: ExitStack = field(default_factory=ExitStack)
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)
    _parts: dict[object, Any] = field(default_factory=dict, repr=False)
    _making_parts: threading.Lock = field(default_factory=threading.Lock, repr=False)

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
        """A boto3 client of this account; `credentials` are those of an assumed role (aws_access_key_id, ...).

        Clients are safe to share between threads and cost 10 to 300 ms each, so each is made once.
        """
        keys = {"aws_access_key_id": "offline", "aws_secret_access_key": "offline"} | credentials
        with _making_clients:
            name = (service, self.endpoint, *(keys[key] for key in sorted(keys)))
            if name not in self._clients:
                self._clients[name] = _session().client(
                    service, region_name=self.region, endpoint_url=self.endpoint, config=_CONFIG, **keys
                )
            return self._clients[name]

    def only(self, kind: "Callable[[State], _T]") -> _T:
        """The one of its kind that the account has, made when somebody first asks for it."""
        with self._making_parts:
            if kind not in self._parts:
                self._parts[kind] = kind(self)
            part: _T = self._parts[kind]
            return part
