"""Unhost: nothing of an endpoint test stays, and the target's package says how the test ended."""

import logging
from typing import TypedDict

from botocore.exceptions import ClientError

from reefloop.compilation import failures, hosted
from reefloop.payloads import Package, Trial, Unhosted

_log = logging.getLogger(__name__)


class Event(TypedDict):
    name: str
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
    return Unhosted(state="waiting", package=package)
