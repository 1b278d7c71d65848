"""Prepare: the version that the model of this execution will have, and on what instances it may be trained."""

import hashlib
from dataclasses import dataclass
from typing import TypedDict

from reefloop import contracts, environment, storage
from reefloop.payloads import TrainingPlan
from reefloop.training.attempts import Instances, attempts


class DatasetUnsuitable(Exception):
    """The dataset is one that nothing trains on."""


class DatasetMissing(Exception):
    """The dataset version does not exist, or its making never finished."""


@dataclass(frozen=True)
class Environment(Instances):
    data_bucket: str


class Event(TypedDict):
    """`execution` is the ARN of the execution: a retried or redriven one trains the same version again. `redrives` is
    how often it was redriven."""

    dataset_version: str
    execution: str
    redrives: int


def handler(event: Event, _context: object) -> TrainingPlan:
    """Name the model after its dataset and the execution that trains it.

    Raises:
        DatasetMissing: the card, written last, is not there.
        DatasetUnsuitable: its labels are boxes.
    """
    env = environment.read(Environment)
    version = event["dataset_version"]
    card = contracts.dataset_key(version, "card.json")
    if not version or storage.find(env.data_bucket, card) is None:
        raise DatasetMissing(
            f"dataset version {version!r} has no {storage.uri(env.data_bucket, card)}: "
            "finish a labeling round first, or name one of the versions below datasets/"
        )
    if (task := storage.read_json(env.data_bucket, card).get("task", "classification")) != "classification":
        raise DatasetUnsuitable(
            f"dataset version {version!r} is one for {task}, and training makes classifiers only: use its manifests "
            "with a trainer of your own, or label a round with task 'classification'"
        )
    fingerprint = hashlib.sha1(event["execution"].encode(), usedforsecurity=False).hexdigest()[:8]
    attempt, *remaining = attempts(env)
    return TrainingPlan(
        model_version=f"{version}-{fingerprint}",
        attempt=attempt,
        remaining=remaining,
        refusals=[],
        redrives=event["redrives"],
    )
