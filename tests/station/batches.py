"""Batches that wait for people as published ones do, and stations that serve them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from PIL import Image

from console.label.server import PageServer
from console.label.station import Station
from offline.account import Account
from tests.any import any_round
from tests.offline.bench import until
from tests.offline.roles import make_role


class Waiting:
    """A state machine that waits under a task token, as the one does that publishes batches."""

    def __init__(self, account: Account) -> None:
        self.sfn, self.sqs = account.client("stepfunctions"), account.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="tokens")["QueueUrl"]
        wait = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": self.queue, "MessageBody.$": "$$.Task.Token"},
            "End": True,
        }
        self.machine = self.sfn.create_state_machine(
            name="waiting",
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": wait}}),
            roleArn=make_role(account, "waiting"),
        )["stateMachineArn"]

    def start(self) -> tuple[str, str]:
        """The ARN of a new execution, and the token under which it waits."""
        arn = self.sfn.start_execution(stateMachineArn=self.machine)["executionArn"]
        while not (messages := self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=1).get("Messages")):
            pass
        self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=messages[0]["ReceiptHandle"])
        return arn, messages[0]["Body"]

    def outcome(self, arn: str) -> Mapping[str, Any]:
        """How the execution ended; it does so a moment after its token was used."""
        execution: Mapping[str, Any] = until(
            lambda: self.sfn.describe_execution(executionArn=arn), lambda seen: seen["status"] != "RUNNING"
        )
        return execution


def image_bytes(colour: int, size: tuple[int, int] = (64, 48), form: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, (20, 90, colour % 256)).save(buffer, form)
    return buffer.getvalue()


@dataclass
class Published:
    """A batch that waits for people, and what became of it."""

    account: Account
    bucket: str
    waiting: Waiting
    keys: Sequence[str]
    round_: str = field(default_factory=any_round)
    categories: Sequence[str] = ("crab", "squid", "turtle")
    task: str = "classification"
    team: str = "labelers"
    votes: int = 1
    hours: float = 1
    lines: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """What stands in some lines besides the image."""

    def __post_init__(self) -> None:
        self.s3 = self.account.client("s3")
        self.job = f"station-{self.team}-0-0"
        self.responses = (
            f"rounds/{self.round_}/labeling-jobs/{self.team}/{self.job}/annotations/worker-response/iteration-1/"
        )
        manifest = [
            {"source-ref": f"s3://{self.bucket}/{key}", **self.lines.get(number, {})}
            for number, key in enumerate(self.keys)
        ]
        self.put(
            f"rounds/{self.round_}/tasks/{self.team}/0-0.manifest",
            "".join(f"{json.dumps(line)}\n" for line in manifest),
        )
        self.publish()

    def publish(self) -> None:
        """Publish the batch, for the first time or under another token."""
        self.execution, self.token = self.waiting.start()
        now = datetime.now(UTC)
        batch = {
            "round": self.round_,
            "job": self.job,
            "team": self.team,
            "tasks": f"tasks/{self.team}/0-0.manifest",
            "template": f"tasks/{self.team}/template.liquid.html",
            "task": self.task,
            "question": "Which animal is this?",
            "categories": self.categories,
            "votes": self.votes,
            "token": self.token,
            "published_at": now.isoformat(timespec="seconds"),
            "deadline": (now + timedelta(hours=self.hours)).isoformat(timespec="seconds"),
        }
        self.put(f"rounds/{self.round_}/station/{self.team}/0-0.json", json.dumps(batch))

    def put(self, key: str, body: str | bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body if isinstance(body, bytes) else body.encode())

    def answers(self, index: int | None = None) -> list[dict[str, Any]]:
        """The answers in the bucket, of all objects or of one, the oldest of each object first."""
        prefix = self.responses if index is None else f"{self.responses}{index}/"
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        bodies = [self.s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read() for item in found]
        return [answer for body in bodies for answer in json.loads(body)["answers"]]

    def labels(self) -> dict[int, list[str]]:
        """The classes that were chosen, by object."""
        return {
            index: labels
            for index in range(len(self.keys))
            if (
                labels := [answer["answerContent"]["crowd-image-classifier"]["label"] for answer in self.answers(index)]
            )
        }

    def boxes(self, index: int = 0) -> list[dict[str, Any]]:
        """The boxes of an object's one answer."""
        [answer] = self.answers(index)
        boxes: list[dict[str, Any]] = answer["answerContent"]["boundingBox"]["boundingBoxes"]
        return boxes

    def uri(self, name: str) -> str:
        """A place in Ground Truth's layout of this batch's job."""
        return f"s3://{self.bucket}/rounds/{self.round_}/labeling-jobs/{self.team}/{self.job}/{name}"

    def output(self) -> dict[str, Any]:
        """What the execution got for its token."""
        output: dict[str, Any] = json.loads(self.outcome()["output"])
        return output

    def outcome(self) -> Mapping[str, Any]:
        return self.waiting.outcome(self.execution)


@dataclass
class Serving:
    """A station with its page."""

    station: Station
    server: PageServer
    told: list[str]

    @property
    def url(self) -> str:
        return self.server.url


Publish = Callable[..., Published]
Serve = Callable[..., Serving]
