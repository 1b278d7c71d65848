from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from settings import OperationsSettings
from stacks.constructs.paths import path

RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}

SOURCE = Path(__file__).parents[2] / "lambda"


class Function(lambda_.Function):
    """A Lambda function of lambda/, with the defaults of this house: its own log group, its own least role."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        operations: OperationsSettings,
        environment: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
        memory_mib: int = 512,
        scratch_mib: int = 512,
        retry_attempts: int | None = None,
    ) -> None:
        """`handler` is the module under reefloop/, such as "labeling.list_pool"; its name is that of the state.

        `retry_attempts` is for events that nobody waits for; Lambda's own default is 2.
        """
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=RETENTION[operations.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(scope, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        super().__init__(
            scope,
            construct_id,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"reefloop.{handler}.handler",
            code=lambda_.Code.from_asset(str(SOURCE), exclude=["**/__pycache__", "*.pyc", "*.md"]),
            environment=dict(environment or {}),
            timeout=timeout or Duration.minutes(5),
            memory_size=memory_mib,
            ephemeral_storage_size=Size.mebibytes(scratch_mib),
            retry_attempts=retry_attempts,
            role=role,
            log_group=log_group,
        )


class FunctionTask(tasks.LambdaInvoke):
    """One state that runs one function. The state ListPool of labeling runs reefloop/labeling/list_pool.py."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: Function,
        event: Mapping[str, Any],
        result: str | None = None,
    ) -> None:
        """`event` is what the function gets; its answer lands at the key `result`, or replaces the state's input."""
        self.function = function
        super().__init__(
            scope,
            construct_id,
            lambda_function=function,
            payload=sfn.TaskInput.from_object(dict(event)),
            payload_response_only=True,
            result_path=path(result) if result else None,
        )
        retry_when_throttled(self)


def retry_when_throttled(state: tasks.LambdaInvoke) -> None:
    """Call again what the account has no concurrency left for; CDK's own retries leave that error out.

    A new account may run 10 functions at once, a Map asks for 40:
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    state.add_retry(
        errors=["Lambda.TooManyRequestsException"],
        interval=Duration.seconds(2),
        max_attempts=8,
        backoff_rate=2,
        jitter_strategy=sfn.JitterType.FULL,
    )
