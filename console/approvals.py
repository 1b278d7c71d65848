"""A model that waits for a person: which one, and how that person says yes or no."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reefloop.contracts import MODEL_PACKAGE_ARN, VERDICT

STATE: Final = "AwaitApproval"


def asked(events: Sequence[Mapping[str, Any]]) -> str:
    """What a person is to decide whose word an execution waits for, by the history of one that is in STATE.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html
    """
    entered = [event["stateEnteredEventDetails"] for event in events if "stateEnteredEventDetails" in event]
    state = next(details for details in reversed(entered) if details["name"] == STATE)
    arn = json.loads(state["input"])[VERDICT][MODEL_PACKAGE_ARN]
    group, number = arn.split("/")[-2:]
    return (
        f"version {number} waits for approval: in SageMaker Studio choose Models, Registered models, {group}, version "
        f"{number}, Deploy; or `aws sagemaker update-model-package --model-package-arn {arn} "
        "--model-approval-status Approved` (or Rejected)"
    )
