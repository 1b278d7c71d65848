"""Unhost: nothing of an endpoint test stays, and the target's package says how the test ended."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict

from botocore.exceptions import ClientError

from reefloop.compilation import failures, hosted
from reefloop.payloads import Package, Trial, Unhosted

# SageMaker gives up after about an hour at the latest; what is left then is the business of whoever sweeps.
# https://github.com/aws/amazon-sagemaker-examples/issues/3432
PATIENCE: Final = timedelta(hours=2)

_log = logging.getLogger(__name__)


class Event(TypedDict):
    """`started` is when the execution came to the test, ISO 8601."""

    name: str
    started: str
    package: Package
    trial: Trial


def handler(event: Event, _context: object) -> Unhosted:
    """Delete what can be deleted by now. To be called until nothing is left."""
    package, reason = event["package"], event["trial"]["reason"]
    if event["trial"]["state"] != "passed" and package["outcome"] != "refused":
        # What a function raised comes as JSON: twice, so that only its sentence stays.
        failure = failures.explain(f"endpoint: {failures.explain(reason)['reason']}")
        package = {**package, "outcome": "refused", "key": "", "bytes": 0, "failure": failure}
    try:
        if hosted.delete(event["name"]):
            return Unhosted(state="gone", package=package)
    except ClientError as error:  # throttled, or refused for another moment
        _log.warning("%s is not deleted yet: %s", event["name"], error)
    late = datetime.now(UTC) > datetime.fromisoformat(event["started"]) + PATIENCE
    return Unhosted(state="left" if late else "waiting", package=package)
