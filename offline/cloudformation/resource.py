"""What a resource type must be able to do, and what it is given to do it."""

import random
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

_ABSENT = re.compile("NotFound|NoSuch|NotExist|DoesNotExist")


class Unsupported(Exception):
    """A resource that cannot be made as it is written, found before any service was asked."""


@dataclass
class Made:
    """A resource that exists: what Ref and GetAtt give for it."""

    id: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a stack lives."""

    client: Callable[[str], Any]
    """Service → a boto3 client of the account."""
    account_id: str
    region: str


@dataclass(frozen=True)
class Order:
    """One resource to make, change or remove: its properties, and the account to do it in."""

    place: Place
    stack: str
    logical_id: str
    properties: Mapping[str, Any]

    @property
    def region(self) -> str:
        return self.place.region

    def client(self, service: str) -> Any:
        return self.place.client(service)

    def __getitem__(self, name: str) -> Any:
        if name not in self.properties:
            raise Unsupported(f"#/: required key [{name}] not found")
        return self.properties[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.properties.get(name, default)

    def take(self, *names: str) -> dict[str, Any]:
        """These properties, those of them that are given and not empty: no API wants an empty list of tags."""
        return {name: self.properties[name] for name in names if self.properties.get(name) not in (None, "", [], {})}

    def but(self, *names: str) -> dict[str, Any]:
        """Every property except these, for a call that takes them as they stand; what it does not take, it refuses."""
        return {name: value for name, value in self.properties.items() if name not in names}

    def name(self, *, longest: int = 64, lower: bool = False) -> str:
        """A name as CloudFormation makes them up: <stack>-<logical id>-<twelve characters>."""
        suffix = "".join(random.choices(string.ascii_uppercase + string.digits, k=12))  # noqa: S311
        room = longest - len(suffix) - 1
        name = f"{f'{self.stack}-{self.logical_id}'[:room].rstrip('-')}-{suffix}"
        return name.lower() if lower else name

    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        return f"arn:aws:{service}:{self.region if region else ''}:{self.place.account_id}:{resource}"


class ResourceType:
    """How one type is made, changed and removed through the service's own API."""

    properties: frozenset[str] | None = None
    """What the type knows where it does not hand everything on; any other property fails the resource."""
    replaced_by: frozenset[str] | None = None
    """The properties whose change needs a new resource; None when every change does, and there is no `update`."""

    def create(self, order: Order) -> Made:
        raise NotImplementedError

    def update(self, order: Order, made: Made, old: Mapping[str, Any]) -> Made:
        """Change what exists, made of the old properties, into what is ordered."""
        raise NotImplementedError

    def delete(self, order: Order, made: Made) -> None:
        raise NotImplementedError


def is_absent(error: ClientError) -> bool:
    """Whether a service says that what was named does not exist."""
    return bool(_ABSENT.search(error.response["Error"]["Code"]))


def camel(value: Any, *, keep: Iterable[str] = ()) -> Any:
    """Property names as services with lower-case members write them; below `keep` the names are somebody's own."""
    if isinstance(value, Mapping):
        return {
            name[:1].lower() + name[1:]: item if name in keep else camel(item, keep=keep)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [camel(item, keep=keep) for item in value]
    return value


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags of a template as a plain map."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def whole(value: Any, names: Iterable[str]) -> Any:
    """The value with these members made numbers: templates may write any scalar as text."""
    wanted = set(names)
    if isinstance(value, Mapping):
        return {
            name: int(item) if name in wanted and isinstance(item, str) else whole(item, wanted)
            for name, item in value.items()
        }
    return [whole(item, wanted) for item in value] if isinstance(value, list) else value
