"""ConsolidateAnnotations: the vote of one batch of this project's own classification task.

Ground Truth wants an answer per object before it goes on; the round's labels come from the raw worker responses, which
the consolidation job weighs by what is known of each worker.
https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step3-lambda-requirements.html
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from reefloop import contracts, environment, storage
from reefloop.labeling.vote import majority

_ELEMENT: Final = "crowd-image-classifier"


class PayloadRefused(Exception):
    """The annotations are not where the labeling jobs of this project write them."""


@dataclass(frozen=True)
class Environment:
    data_bucket: str


class Event(TypedDict):
    version: str
    labelingJobArn: str
    labelCategories: list[str]
    labelAttributeName: str
    roleArn: str
    payload: dict[str, str]


def handler(event: Event, _context: object) -> list[dict[str, Any]]:
    """One consolidated annotation per object of the payload; an annotation that is none is counted and left out.

    Raises:
        PayloadRefused, ObjectMissing, ObjectInvalid: the payload cannot be read.
    """
    env = environment.read(Environment)
    address = event["payload"]["s3Uri"]
    bucket, key = storage.split_uri(address)
    if bucket != env.data_bucket or not key.startswith(contracts.ROUNDS):
        raise PayloadRefused(f"payload is {address!r} and must lie below s3://{env.data_bucket}/{contracts.ROUNDS}")
    categories = event.get("labelCategories") or []
    return [
        {
            "datasetObjectId": item["datasetObjectId"],
            "consolidatedAnnotation": {
                "content": {event["labelAttributeName"]: majority(_labels(item.get("annotations")), categories)}
            },
        }
        for item in storage.read_json(bucket, key)
    ]


def _labels(annotations: Any) -> Iterable[str | None]:
    """What each person chose; None for an annotation that is no answer to this task."""
    for annotation in annotations or []:
        try:
            label = json.loads(annotation["annotationData"]["content"])[_ELEMENT]["label"]
        except (ValueError, TypeError, KeyError):
            label = None
        yield label if isinstance(label, str) else None
