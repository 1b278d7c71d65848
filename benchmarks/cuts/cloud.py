"""The cloud that takes what a device sends: the ingest function's own code, over a table in moto."""

import base64
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

import boto3
from classifier.messages import KINDS, unpack
from moto import mock_aws

from benchmarks.cuts.component import number_of
from offline.broker import Broker
from reefloop import clients
from reefloop.deployment import ingest, records

TABLE: Final = "records"
_ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "RECORDS_TABLE": TABLE,
    "RECORDS_DAYS": "90",
}


class Answering:
    """The iot-data client of the ingest function: what it publishes reaches the broker, as often as `copies` says."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def publish(self, *, topic: str, qos: int, payload: bytes) -> None:
        self._broker.publish(topic, payload, qos=qos)


class Cloud:
    """The ingest function's own code over a table in moto. It runs in one thread, one message after another."""

    def __init__(self, broker: Broker) -> None:
        self.came = 0
        """Records in all messages that came."""
        self.kept: set[str] = set()
        """Names of those that the function has dealt with, and the numbers that they bear."""
        self._waiting: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        for kind in KINDS:
            broker.subscribe(f"reefloop/+/{kind}", lambda topic, payload: self._waiting.put((topic, payload)))
        self._thread = threading.Thread(target=self._invoke, daemon=True)
        self._thread.start()

    def records(self) -> list[records.Stored]:
        pages = clients.dynamodb().get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        items = (item for page in pages for item in page["Items"])
        return [records.read(item) for item in items if "body" in item and item["item"]["S"] != records.STATUS]

    def close(self) -> None:
        """Deal with what came, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _invoke(self) -> None:
        while (message := self._waiting.get()) is not None:
            topic, payload = message
            batch, data = unpack(payload), base64.b64encode(payload).decode()
            self.came += len(batch.records)
            ingest.handler({"data": data, "thing": topic.split("/")[1]}, None)
            for record in batch.records:
                self.kept |= {records.item(batch.kind, batch.boot, record.seq), numbered(batch.kind, record.body)}


@contextmanager
def account(broker: Broker) -> Iterator[Cloud]:
    """The account of the cloud, in this process."""
    with mock.patch.dict(os.environ, _ENVIRONMENT), mock_aws():
        clients.client.cache_clear()
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": "thing", "KeyType": "HASH"},
                {"AttributeName": "item", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "thing", "AttributeType": "S"},
                {"AttributeName": "item", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        with mock.patch.object(clients, "iot_data", return_value=Answering(broker)):
            cloud = Cloud(broker)
            try:
                yield cloud
            finally:
                cloud.close()
        clients.client.cache_clear()


def numbered(kind: str, body: Mapping[str, Any]) -> str:
    """A record by the number that it bears, as the journal has it."""
    return f"{kind} {number_of(kind, body)}"
