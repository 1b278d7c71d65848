from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.paths import path


class Polling(sfn.StateMachineFragment):
    """Wait, describe, decide, and again: for what Step Functions cannot wait for by itself.

    It ends in `succeeded` or in `failed`; every other status waits once more. `describe` must leave the status at
    the path `status`. The service's own time limit, or a deadline in the description, must end the loop.
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
        failed: Sequence[str],
        on_failure: sfn.IChainable,
        seconds: int,
    ) -> None:
        super().__init__(scope, construct_id)
        wait = sfn.Wait(scope, f"{construct_id}Wait", time=sfn.WaitTime.duration(Duration.seconds(seconds)))
        variable = path(*status)
        decide = (
            sfn.Choice(scope, f"{construct_id}Decide")
            .when(_is_one_of(variable, succeeded), on_success)
            .when(_is_one_of(variable, failed), on_failure)
            .otherwise(wait)
        )
        wait.next(describe)
        describe.next(decide)
        self._start = wait

    @property
    def start_state(self) -> sfn.State:
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        return []


def _is_one_of(variable: str, values: Sequence[str]) -> sfn.Condition:
    return sfn.Condition.or_(*(sfn.Condition.string_equals(variable, value) for value in values))
