from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from stacks.constructs.paths import path


@dataclass(frozen=True)
class Patience:
    """How long to go on asking: `seconds` in all, with pauses that grow; then it goes on at `exhausted`."""

    seconds: int
    exhausted: sfn.IChainable


class Polling(sfn.StateMachineFragment):
    """Wait, describe, decide, and again: for what Step Functions cannot wait for by itself.

    It ends in `succeeded` or in `failed`; every other status waits once more. `describe` must leave the status at
    the path `status`. Without `patience` the pauses are all alike, and the service's own time limit, or a deadline in
    the description, must end the loop. With `at_once`, which needs patience, it describes before it waits.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        describe: sfn.TaskStateBase | sfn.CustomState,
        status: Sequence[str],
        succeeded: Sequence[str],
        on_success: sfn.IChainable,
        seconds: int,
        failed: Sequence[str] = (),
        on_failure: sfn.IChainable | None = None,
        patience: Patience | None = None,
        at_once: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        variable = path(*status)
        decide = sfn.Choice(scope, f"{construct_id}Decide").when(_is_one_of(variable, succeeded), on_success)
        if on_failure:
            decide.when(_is_one_of(variable, failed), on_failure)
        wait = sfn.Wait(
            scope,
            f"{construct_id}Wait",
            time=sfn.WaitTime.seconds_path(path(c.POLL, c.SECONDS))
            if patience
            else sfn.WaitTime.duration(Duration.seconds(seconds)),
        )
        wait.next(describe)
        describe.next(decide)
        self._start: sfn.State = wait
        if not patience:
            decide.otherwise(wait)
            return
        pauses = growing(seconds, patience.seconds)
        decide.when(sfn.Condition.number_greater_than_equals(path(c.POLL, c.PAUSES), len(pauses)), patience.exhausted)
        decide.otherwise(_pause(scope, f"{construct_id}Pause", pauses).next(wait))
        self._start = sfn.Pass(
            scope,
            f"{construct_id}Begin",
            result=sfn.Result.from_object({c.SECONDS: pauses[0], c.PAUSES: 1}),
            result_path=path(c.POLL),
        )
        self._start.next(describe if at_once else wait)

    @property
    def start_state(self) -> sfn.State:
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        return []


def growing(first: int, total: int) -> list[int]:
    """Pauses in seconds that add up to `total` at least: each half as long again as the one before, up to a twentieth.

    So a short wait is noticed soon, and a long one takes few steps: an execution may have 25,000 events, and every
    look of every item of a Map is some ten of them.
    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    longest = max(first, total // 20)
    pauses = [first]
    while sum(pauses) < total:
        pauses.append(min(longest, -(-pauses[-1] * 3 // 2)))
    return pauses


def _pause(scope: Construct, construct_id: str, pauses: Sequence[int]) -> sfn.CustomState:
    """`seconds` is how long the next pause is, `pauses` how many there were with it."""
    counted = path(c.POLL, c.PAUSES)
    # Not a Pass of CDK's, which writes the numbers of an array as texts.
    state = {
        "Type": "Pass",
        "Parameters": {
            f"{c.SECONDS}.$": f"States.ArrayGetItem(States.Array({', '.join(map(str, pauses))}), {counted})",
            f"{c.PAUSES}.$": f"States.MathAdd({counted}, 1)",
        },
        "ResultPath": path(c.POLL),
    }
    return sfn.CustomState(scope, construct_id, state_json=state)


def _is_one_of(variable: str, values: Sequence[str]) -> sfn.Condition:
    return sfn.Condition.or_(*(sfn.Condition.string_equals(variable, value) for value in values))
