"""Reads a bucket: whole objects, and how much lies under a prefix."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.demo.measure import Line, read_lines

_MISSING: Final = {"NoSuchKey", "404"}


@dataclass(frozen=True)
class Bucket:
    """One bucket of the account."""

    clients: Clients
    name: str

    def read(self, key: str) -> bytes:
        body: bytes = self.clients("s3").get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def read_json(self, key: str) -> Mapping[str, Any]:
        """A JSON file; empty where there is no such file."""
        try:
            document: Mapping[str, Any] = json.loads(self.read(key))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return {}
        return document

    def read_lines(self, key: str) -> list[Line]:
        """The objects of a JSON Lines file; none where there is no such file."""
        try:
            return read_lines(self.read(key).decode())
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return []

    def sizes(self, prefix: str) -> Iterator[int]:
        """Bytes of every object under a prefix."""
        for page in self.clients("s3").get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            yield from (item["Size"] for item in page.get("Contents", []))
