"""Ingest: keep what a device sent, and tell it so. Invoked by the topic rules, for each message once or more often.

A device keeps a record until it is told that it is here. So whatever goes wrong is raised before the acknowledgement:
the device sends again.
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from reefloop import clients, contracts, environment
from reefloop.deployment import bodies, messages, telling
from reefloop.deployment.bodies import Malformed
from reefloop.deployment.messages import Ack, Batch
from reefloop.deployment.records import Stored
from reefloop.deployment.store import Store

_DAY_SECONDS = 86_400


class Unusable(Exception):
    """A message that cannot be kept. It is not acknowledged: the device or this function must be mended."""


@dataclass(frozen=True)
class Environment:
    records_table: str
    records_days: int
    alerts_topic: str = ""


class Event(TypedDict):
    """`data` is the payload in base64, `thing` the second level of its topic: a device's policy lets it publish
    under its own name alone."""

    data: str
    thing: str


def handler(event: Event, _context: object) -> None:
    """Store a batch, advance its stream, acknowledge.

    Raises:
        Unusable: the payload cannot be read, or names another thing than its topic.
    """
    env = environment.read(Environment)
    batch = _batch(event)
    now = time.time()
    store = Store(env.records_table, batch.thing, expires_at=int(now) + env.records_days * _DAY_SECONDS)
    stored, new = _received(batch, received_at=int(now * 1000)), []
    try:
        for record in stored:
            if store.put(record):
                new.append(record)
        valid = [record for record in stored if not record.invalid]
        if batch.kind == "health" and valid:
            store.put_status(valid[-1])
        through = store.advance(batch.kind, batch.boot, base=batch.base)
        clients.iot_data().publish(
            topic=contracts.topic(batch.thing, contracts.ACK),
            qos=1,
            payload=messages.pack_ack(Ack(batch.boot, batch.kind, through)),
        )
    finally:  # what was kept is not new when it comes again
        _tell(env.alerts_topic, batch.thing, new)


def _tell(topic: str, thing: str, new: Sequence[Stored]) -> None:
    """Tell people of the alerts among what was kept, if there are people to tell."""
    alerts = [record for record in new if record.kind == "alert" and not record.invalid]
    if alerts and topic:
        clients.sns().publish(TopicArn=topic, **telling.mail(thing, alerts))


def _batch(event: Event) -> Batch:
    try:
        batch = messages.unpack(base64.b64decode(event["data"], validate=True))
    except (Malformed, ValueError) as error:
        raise Unusable(f"a message of {event['thing']} cannot be read: {error}") from error
    if batch.thing != event["thing"]:
        raise Unusable(f"a message on a topic of {event['thing']} says that it is of {batch.thing}: it is not kept")
    return batch


def _received(batch: Batch, *, received_at: int) -> list[Stored]:
    """The records of a batch, each with what is wrong with it: one that is not right keeps no other back."""
    found = []
    for record in batch.records:
        try:
            bodies.check(batch.kind, record.body)
            invalid = ""
        except Malformed as error:
            invalid = str(error)
            print(f"{batch.thing} {batch.kind} {batch.boot} {record.seq} is kept and not used: {invalid}")
        found.append(Stored(batch.kind, batch.boot, record.seq, record.at, received_at, record.body, invalid))
    return found
