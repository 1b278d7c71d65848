"""The token under which the state machine waits for a batch."""

import json
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.label.batch import Batch
from console.label.votes import Votes
from reefloop.contracts import ABANDONED

# Nobody waits under it: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_GONE: Final = {"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"}
_MOST_CAUSE: Final = 32_768


def release(clients: Clients, batch: Batch, votes: Votes) -> bool:
    """Let the round go on with a batch that is complete; whether it was still waiting. Twice does no harm.

    The output has what a labeling job of Ground Truth ends with:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_LabelCounters.html
    """
    labeled = votes.objects - len(votes.broken)
    end = {
        "LabelingJobName": batch.job,
        "LabelCounters": {
            "TotalLabeled": labeled,
            "HumanLabeled": labeled,
            "MachineLabeled": 0,
            "FailedNonRetryableError": len(votes.broken),
            "Unlabeled": 0,
        },
        "OutputDatasetS3Uri": batch.output_uri,
    }
    return _send(clients("stepfunctions").send_task_success, taskToken=batch.token, output=json.dumps(end))


def abandon(clients: Clients, batch: Batch, cause: str) -> bool:
    """End a batch without the answers that it lacks; whether it was still waiting."""
    failure = {"error": ABANDONED, "cause": cause[:_MOST_CAUSE]}
    return _send(clients("stepfunctions").send_task_failure, taskToken=batch.token, **failure)


def _send(operation: Callable[..., Any], **request: str) -> bool:
    try:
        operation(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True
