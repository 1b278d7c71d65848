"""ApprovalChanged: somebody changed a model's approval in the registry, in Studio or by the API."""

from dataclasses import dataclass
from typing import TypedDict

from reefloop import environment
from reefloop.training import approvals


@dataclass(frozen=True)
class Environment:
    data_bucket: str


class Detail(TypedDict):
    ModelPackageArn: str


class Event(TypedDict):
    """EventBridge's "SageMaker Model Package State Change", as far as it is read here.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-model-package
    """

    detail: Detail


def handler(event: Event, _context: object) -> None:
    """Let the execution go on that waits for this model. A model that nobody waits for is none of this function's."""
    approvals.changed(environment.read(Environment).data_bucket, event["detail"]["ModelPackageArn"])
