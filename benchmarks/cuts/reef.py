"""A device whose power fails, its link, and the cloud that takes what it sends."""

import base64
import json
import os
import queue
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

import boto3
from classifier.messages import KINDS, unpack
from classifier.uplink.sender import cost
from moto import mock_aws

from benchmarks.cuts.component import number_of
from benchmarks.cuts.fast_clock import FastClock
from offline.broker import Broker, Link
from offline.device.credentials import Credentials, Denied
from offline.device.ipc import Configurations
from offline.device.nucleus import Nucleus
from offline.device.resolution import Wanted
from reefloop import clients
from reefloop.deployment import ingest, records

COMPONENT: Final = "reefloop.Classifier"
TABLE: Final = "records"
HOUR_SECONDS: Final = 3600.0
_PROGRAM: Final = Path(__file__).with_name("component.py")
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
        self.kept: set[tuple[str, int]] = set()
        """Kind and number of those that the function has dealt with."""
        self._broker = broker
        self._waiting: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        for kind in KINDS:
            broker.subscribe(f"reefloop/+/{kind}", lambda topic, payload: self._waiting.put((topic, payload)))
        threading.Thread(target=self._invoke, daemon=True).start()

    def records(self) -> list[records.Stored]:
        pages = clients.dynamodb().get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        items = (item for page in pages for item in page["Items"])
        return [records.read(item) for item in items if "body" in item and item["item"]["S"] != records.STATUS]

    def _invoke(self) -> None:
        while True:
            topic, payload = self._waiting.get()
            batch, data = unpack(payload), base64.b64encode(payload).decode()
            self.came += len(batch.records)
            ingest.handler({"data": data, "thing": topic.split("/")[1]}, None)
            self.kept |= {(batch.kind, number_of(batch.kind, record.body)) for record in batch.records}


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
            yield Cloud(broker)
        clients.client.cache_clear()


class Metered(Link):
    """A link that notes when how many bytes leave, as the component's budget counts them."""

    def __init__(self, broker: Broker, client: str, clock: FastClock) -> None:
        super().__init__(broker, client)
        self.left: list[tuple[float, int]] = []
        self._clock = clock

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, acknowledged: Callable[[], None] | None = None
    ) -> None:
        super().publish(topic, payload, qos=qos, acknowledged=acknowledged)
        self.left.append((self._clock.elapsed(), cost(topic, payload)))

    @property
    def most(self) -> int:
        """The most bytes that left within any hour."""
        most = within = first = 0
        for at, size in self.left:
            within += size
            while at - self.left[first][0] >= HOUR_SECONDS:
                within -= self.left[first][1]
                first += 1
            most = max(most, within)
        return most


class Device:
    """A core device: its nucleus in this process, its component in one of its own that is begun anew when it ends."""

    def __init__(self, folder: Path, link: Link, *, lite: bool, arguments: Sequence[str]) -> None:
        self.starts = 0
        self.work, self.journal = folder / "work", folder / "journal"
        self.work.mkdir(parents=True)
        self.seen: set[tuple[str, int]] = set()
        """Kind and number of every record that was in the spool at some kill."""
        self.arguments = arguments
        access = {"1": {"operations": ["*"], "resources": ["*"]}}
        configured = {COMPONENT: {"accessControl": {"aws.greengrass.ipc.mqttproxy": access}}}
        self._nucleus = Nucleus(
            folder,
            lite=lite,
            link=link,
            exchange=_refuse,
            configurations=Configurations(configured, lambda: None),
            lifecycle=lambda *_: True,
        )
        self._nucleus.start()
        self._pid = 0
        self._lives = subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "log").open("wb"),
            text=True,
        )

    @property
    def alive(self) -> bool:
        """Whether a life of the component is under way."""
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return self._pid != 0

    def start(self) -> None:
        """Begin a life of the component, as the nucleus does when one has ended."""
        if self.alive:
            return
        self.starts += 1
        own = ["--numbers", str(1_000_000 * self.starts), "--journal", str(self.journal)]
        wanted = {
            "arguments": [str(self.work), *own, *self.arguments],
            "environment": self._nucleus.variables(Wanted(COMPONENT, "1.0.0", True, {}, {}, ())),
        }
        assert self._lives.stdin is not None
        assert self._lives.stdout is not None
        self._lives.stdin.write(f"{json.dumps(wanted)}\n")
        self._lives.stdin.flush()
        self._pid = int(self._lives.stdout.readline())

    def kill_component(self) -> None:
        """kill -9, wherever it is; then look at what it left in its spool."""
        if self.alive:
            os.kill(self._pid, signal.SIGKILL)
        while self.alive:
            time.sleep(0.001)
        self._pid = 0
        self.seen |= self.spooled()

    def kill_nucleus(self, dead_seconds: float) -> None:
        """kill -9: its queue and its tokens are gone. It lives again after a while."""
        self._nucleus.stop()
        time.sleep(dead_seconds)
        self._nucleus.start()

    def spooled(self) -> set[tuple[str, int]]:
        """What the spool holds, read from a copy: whatever is to be repaired is left to the component."""
        copy = self.work.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.work / "spool", copy) if (self.work / "spool").exists() else copy.mkdir()
        if not (copy / "spool.db").exists():
            return set()
        with closing(sqlite3.connect(copy / "spool.db")) as database:
            try:
                rows = database.execute("SELECT kind, body FROM messages").fetchall()
            except sqlite3.OperationalError:  # killed before it had made its tables
                return set()
        return {(KINDS[kind], number_of(KINDS[kind], json.loads(body))) for kind, body in rows}

    def journalled(self) -> set[tuple[str, int]]:
        """Every record whose `add` returned."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return {(kind, int(number)) for kind, _, number in (line.partition(" ") for line in lines)}

    def close(self) -> None:
        self.kill_component()
        self._lives.kill()
        self._lives.wait()
        self._nucleus.stop()


class Flapping:
    """A link that comes and goes at random, and holds things back, until `end`."""

    def __init__(self, link: Link, chance: random.Random) -> None:
        self.cuts = 0
        self._link, self._chance = link, chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._flap, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """From now on the link is there."""
        self._over.set()
        self._thread.join()
        self._link.release()
        self._link.restore()

    def _flap(self) -> None:
        while not self._over.wait(self._chance.uniform(0.1, 2.0)):
            how = self._chance.choice((self._link.cut, self._link.hold_messages, self._link.hold_acknowledgements))
            how()
            self.cuts += how == self._link.cut
            self._over.wait(self._chance.uniform(0.05, 1.0))
            self._link.release()
            self._link.restore()


def _refuse() -> Credentials:
    raise Denied("this device sends no frames")
