"""A published batch: what the state machine asks of people, and where their answers go."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.errors import Failure
from reefloop import contracts as c

_NAME: Final = re.compile(r"(\d+)-(\d+)\.json")


CLASSIFICATION: Final = "classification"
DETECTION: Final = "detection"
_TASKS: Final = (CLASSIFICATION, DETECTION)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One published batch. `votes` is how many people are to answer each object."""

    bucket: str
    key: str
    round_: str
    job: str
    team: str
    task: str
    tasks: str
    question: str
    categories: tuple[str, ...]
    votes: int
    token: str
    deadline: datetime

    @property
    def draws(self) -> bool:
        """People draw boxes; otherwise they choose one category."""
        return self.task == DETECTION

    @property
    def responses(self) -> str:
        """The prefix of all answers: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html"""
        return self._output(f"{c.WORKER_RESPONSES}iteration-1/")

    @property
    def output_uri(self) -> str:
        """Where Ground Truth would write its own consolidation; this project's is made later, of the answers."""
        return f"s3://{self.bucket}/{self._output('manifests/output/output.manifest')}"

    def _output(self, name: str) -> str:
        return c.round_key(self.round_, f"{c.LABELING_JOBS_FOLDER}{self.team}/{self.job}/{name}")


@dataclass(frozen=True)
class Subject:
    """One object: the key of its image, "" where its line names none of this bucket, and the boxes to correct."""

    image: str
    boxes: tuple[Mapping[str, Any], ...] = ()


def station_prefix(round_: str, team: str = "") -> str:
    """Where batches of a round are published."""
    return c.round_key(round_, f"{c.STATION_FOLDER}{team}/" if team else c.STATION_FOLDER)


def find_batches(clients: Clients, bucket: str, round_: str, team: str) -> list[Batch]:
    """The batches published for one team, in the order in which they were cut.

    Raises:
        Failure: the bucket cannot be read, or a batch lacks something.
    """
    prefix = station_prefix(round_, team)
    numbered = []
    for key in list_keys(clients, bucket, prefix):
        if named := _NAME.fullmatch(key.removeprefix(prefix)):
            numbered.append((int(named[1]), int(named[2]), key))
    return [_parse(bucket, key, round_, read(clients, bucket, key)) for _, _, key in sorted(numbered)]


def _parse(bucket: str, key: str, round_: str, body: bytes) -> Batch:
    try:
        document = json.loads(body)
        batch = Batch(
            bucket=bucket,
            key=key,
            round_=round_,
            **{name: _text(document, name) for name in ("job", "team", "task", "tasks", "question", "token")},
            categories=tuple(str(name) for name in document["categories"]),
            votes=int(document["votes"]),
            deadline=datetime.fromisoformat(document["deadline"]),
        )
        if not batch.categories or batch.votes < 1 or batch.task not in _TASKS or not batch.deadline.tzinfo:
            raise ValueError(
                f"task is {batch.task!r} of {', '.join(_TASKS)}; it must have categories, votes and a time zone"
            )
    except (ValueError, TypeError, KeyError) as error:
        raise Failure(f"s3://{bucket}/{key} is no batch ({type(error).__name__}: {error}): publish it again") from error
    return batch


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r} and must be a text")
    return value


def read_subjects(clients: Clients, batch: Batch) -> list[Subject]:
    """The objects of a batch, by their line in the tasks manifest.

    Raises:
        Failure: the manifest cannot be read.
    """
    body = read(clients, batch.bucket, c.round_key(batch.round_, batch.tasks))
    # By the newline alone: splitlines of a text also splits at characters that JSON allows within a string.
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    return [_subject(line, batch) for line in lines]


def _subject(line: bytes, batch: Batch) -> Subject:
    start = f"s3://{batch.bucket}/"
    try:
        record = json.loads(line)
        address = str(record["source-ref"])
        boxes = tuple(_boxes(record)) if batch.draws else ()
    except (ValueError, TypeError, KeyError):
        return Subject("")
    # Only what lies beside the batch: a manifest must not make a labeler's credentials fetch from elsewhere.
    return Subject(address.removeprefix(start) if address.startswith(start) else "", boxes)


def _boxes(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The boxes of an augmented manifest's line:
    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html#sms-output-box"""
    names = record.get(f"{c.LABEL_ATTRIBUTE}-metadata", {}).get("class-map", {})
    for box in record.get(c.LABEL_ATTRIBUTE, {}).get("annotations", []):
        edges = {edge: int(box[edge]) for edge in ("left", "top", "width", "height")}
        yield {"label": str(names[str(box["class_id"])]), **edges}


def list_keys(clients: Clients, bucket: str, prefix: str) -> Iterator[str]:
    """Every key under a prefix.

    Raises:
        Failure: the bucket cannot be listed.
    """
    try:
        for page in clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", []))
    except (ClientError, BotoCoreError) as error:
        raise Failure(f"cannot list s3://{bucket}/{prefix}: {error}") from error


def read(clients: Clients, bucket: str, key: str) -> bytes:
    """A whole object.

    Raises:
        Failure: it cannot be read.
    """
    try:
        body: bytes = clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except (ClientError, BotoCoreError) as error:
        raise Failure(f"cannot read s3://{bucket}/{key}: {error}") from error
    return body
