"""PreAnnotation: what the page of this project's own classification task shows of one object.

Ground Truth runs it before people see the object:
https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step3-lambda-requirements.html
"""

from dataclasses import dataclass
from typing import Any, TypedDict

from reefloop import environment
from reefloop.labeling import ground_truth, manifest, rounds


@dataclass(frozen=True)
class Environment:
    data_bucket: str


class Event(TypedDict):
    """`dataObject` is the object's whole line of the input manifest."""

    version: str
    labelingJobArn: str
    dataObject: dict[str, Any]


def handler(event: Event, _context: object) -> dict[str, Any]:
    """The image and what people choose from: the categories as they are now, and that nobody can tell.

    Nothing else of the line is passed on: no page can show what it does not get.

    Raises:
        CategoriesInvalid, ObjectMissing: the message says what to change.
    """
    env = environment.read(Environment)
    labels = [*rounds.category_names(env.data_bucket), ground_truth.CANNOT_TELL]
    return {
        "taskInput": {"taskObject": event["dataObject"][manifest.SOURCE], "labels": labels},
        # The documentation's schema has the first, a boolean; its own example function the second, a text.
        "isHumanAnnotationRequired": True,
        "humanAnnotationRequired": "true",
    }
