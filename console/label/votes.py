"""Who has answered what in a batch, as the bucket says, and the way in which an answer gets there."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from console.clients import Clients
from console.label.batch import Batch, list_keys


def voter_of(worker: str) -> str:
    """What stands for a worker in the names of their answers, so that a listing tells who answered what."""
    return hashlib.sha256(worker.encode()).hexdigest()[:16]


@dataclass
class Votes:
    """The answers of one batch. They are only ever added, so what was seen once stays true.

    An answer is one object, <line of the tasks manifest>/<UTC time>-<voter>.json; a worker who thinks better of it
    writes the same object again.
    """

    clients: Clients
    batch: Batch
    objects: int
    broken: set[int] = field(default_factory=set)
    """Objects without a readable image: nobody can answer those."""
    _keys: dict[str, dict[int, str]] = field(default_factory=dict)
    _voters: Counter[int] = field(default_factory=Counter)
    _answered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self, index: int | None = None) -> None:
        """Look what others have answered, of one object or of all.

        Raises:
            Failure: the bucket cannot be listed.
        """
        prefix = self.batch.responses
        for key in list_keys(self.clients, self.batch.bucket, prefix if index is None else f"{prefix}{index}/"):
            line, _, name = key.removeprefix(prefix).partition("/")
            voter = name.removesuffix(".json").rpartition("-")[2]
            if line.isdecimal() and int(line) < self.objects and name.endswith(".json") and voter:
                self._add(int(line), voter, key)

    def _add(self, index: int, voter: str, key: str) -> None:
        with self._lock:
            keys = self._keys.setdefault(voter, {})
            if index not in keys:
                # More than are needed do not bring the batch nearer to its end.
                self._answered += self._voters[index] < self.batch.votes
                self._voters[index] += 1
            keys[index] = max(key, keys.get(index, ""))

    def of(self, voter: str) -> Mapping[int, str]:
        """Somebody's answers: object to key."""
        with self._lock:
            return MappingProxyType(self._keys.setdefault(voter, {}))

    def missing(self, index: int) -> int:
        """How many answers an object still lacks."""
        return 0 if index in self.broken else max(0, self.batch.votes - self._voters[index])

    @property
    def needed(self) -> int:
        """Answers that make the batch complete, those that are there included."""
        return (self.objects - len(self.broken)) * self.batch.votes

    @property
    def answered(self) -> int:
        return self._answered

    @property
    def complete(self) -> bool:
        # Objects that turned out to be unreadable after somebody answered them make the sum a bound only.
        return self._answered >= self.needed and not any(self.missing(index) for index in range(self.objects))

    def save(self, index: int, voter: str, document: Mapping[str, Any]) -> None:
        """Write an answer, over the earlier one of the same worker if there is one.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError: S3 did not take it.
        """
        stamp = datetime.now(UTC).strftime("%Y-%m-%d_%H:%M:%S.%f")
        key = self.of(voter).get(index) or f"{self.batch.responses}{index}/{stamp}-{voter}.json"
        body = json.dumps(document, ensure_ascii=False).encode()
        self.clients("s3").put_object(Bucket=self.batch.bucket, Key=key, Body=body, ContentType="application/json")
        self._add(index, voter, key)
