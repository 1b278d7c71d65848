"""Shows an execution until it ends, and says why where it did not succeed."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from console.errors import Failure
from console.executions import RUNNING, SUCCEEDED, Execution, Follower, reasons
from console.screen import Row, Screen, execution_rows

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0


def follow(follower: Follower, arn: str, *, beside: Callable[[], Iterable[Row]] = list) -> Execution:
    """Show an execution until it ends; the last picture stays.

    Args:
        beside: what else is shown while it runs.
    """
    pause = _FIRST_PAUSE_SECONDS
    screen = Screen()
    with screen:
        while True:
            execution = follower.read(arn)
            screen.show([*execution_rows(execution), *beside()])
            if execution.status != RUNNING:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    # A live picture went with the screen; without one, what was shown before is not shown again.
    for row in execution_rows(execution):
        screen.keep(row)
    return execution


def keep_last(what: str, read: Callable[[], Iterable[Row]]) -> Callable[[], list[Row]]:
    """`read` for `follow` to show beside the execution, which goes on whatever becomes of it: when the account does not
    answer, the rows before stay, and one more says why."""
    last: list[Row] = []

    def rows() -> list[Row]:
        nonlocal last
        try:
            last = list(read())
        except (ClientError, BotoCoreError) as error:
            return [*last, Row(what, "not read", str(error))]
        return last

    return rows


def require_success(execution: Execution) -> None:
    """
    Raises:
        Failure: with the innermost reasons.
    """
    if execution.status != SUCCEEDED:
        raise Failure(f"{execution.name} {execution.status.lower()}: {'; '.join(reasons(execution))}")
