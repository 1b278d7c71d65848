"""Task tokens: who may still answer one, and what Step Functions says to whoever may not.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
"""

import json
from collections.abc import Iterable
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailure, CallbackOutcomeSuccess


class InvalidToken(AWSError):
    TYPE = "InvalidToken"
    STATUS = 400


class InvalidOutput(AWSError):
    TYPE = "InvalidOutput"
    STATUS = 400


class TaskTimedOut(AWSError):
    TYPE = "TaskTimedOut"
    STATUS = 400


def succeed(executions: Iterable[Any], token: str, output: str) -> None:
    """Give the task that waits under a token its output.

    Raises:
        InvalidToken, TaskTimedOut: as `_waiting`.
        InvalidOutput: not JSON.
    """
    endpoint = _waiting(executions, token)
    try:
        json.loads(output)
    except ValueError as error:
        raise InvalidOutput(f"Invalid Output: 'Could not parse the output: {error}'") from None
    endpoint.notify(CallbackOutcomeSuccess(callback_id=token, output=output))


def fail(executions: Iterable[Any], token: str, error: str | None, cause: str | None) -> None:
    """Fail the task that waits under a token.

    Raises:
        InvalidToken, TaskTimedOut: as `_waiting`.
    """
    endpoint = _waiting(executions, token)
    endpoint.notify(CallbackOutcomeFailure(callback_id=token, error=error or "", cause=cause))


def heartbeat(executions: Iterable[Any], token: str) -> None:
    """Start the time anew in which the task's next heartbeat is due; nothing happens where none is awaited.

    Raises:
        InvalidToken, TaskTimedOut: as `_waiting`.
    """
    _waiting(executions, token).notify_heartbeat()


def tokens(env: Any) -> set[str]:
    """Every token that a run of an execution gave out."""
    return set(env.callback_pool_manager._pool)


def _waiting(executions: Iterable[Any], token: str) -> Any:
    """The endpoint at which a task waits for its answer.

    Raises:
        InvalidToken: no task ever got this token.
        TaskTimedOut: the task was answered, ran out of time, or its execution or that run of it has ended.
    """
    for execution in executions:
        endpoint = execution.exec_worker.env.callback_pool_manager.get(token)
        if endpoint is None and token not in execution.closed_tokens:
            continue
        # moto sets the event when an answer arrives and when the task stops waiting for one.
        if endpoint is None or endpoint._notify_event.is_set() or execution.exec_status != ExecutionStatus.RUNNING:
            raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
        return endpoint
    raise InvalidToken("Invalid Token: 'Invalid token'")
