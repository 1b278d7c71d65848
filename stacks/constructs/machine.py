from collections.abc import Mapping, Sequence
from typing import get_type_hints

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from settings import OperationsSettings
from stacks.constructs.function import RETENTION
from stacks.constructs.paths import path


class Machine(sfn.StateMachine):
    """A state machine that logs everything, traces, and may do what its tasks ask for and no more."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        definition: sfn.IChainable,
        operations: OperationsSettings,
        statements: Sequence[iam.PolicyStatement] = (),
        timeout: Duration | None = None,
    ) -> None:
        """`statements` are what the service calls need that CDK has no task, and so no grant, for."""
        stack = Stack.of(scope)
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            # The prefix keeps the log delivery's resource policy under its size limit however many machines there
            # are: https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
            log_group_name=f"/aws/vendedlogs/states/{stack.stack_name}",
            retention=RETENTION[operations.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        super().__init__(
            scope,
            construct_id,
            definition_body=sfn.DefinitionBody.from_chainable(definition),
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
            tracing_enabled=True,
            # Labeling waits for people: the longest that Ground Truth lets a job live is 30 days.
            timeout=timeout or Duration.days(31),
            removal_policy=RemovalPolicy.DESTROY,
        )
        for statement in statements:
            self.add_to_role_policy(statement)
        CfnOutput(scope, f"{construct_id}Arn", key="Machine", value=self.state_machine_arn)


def run(
    scope: Construct,
    construct_id: str,
    *,
    machine: sfn.IStateMachine,
    payload: Mapping[str, str | list[str]],
    output: type | None = None,
    result: str | None = None,
) -> tasks.StepFunctionsStartExecution:
    """A state that runs another machine to its end.

    `output` is the TypedDict that the machine answers with: its keys land below the key `result`. Without it the
    answer is thrown away.
    """
    return tasks.StepFunctionsStartExecution(
        scope,
        construct_id,
        state_machine=machine,
        integration_pattern=sfn.IntegrationPattern.RUN_JOB,
        input=sfn.TaskInput.from_object(dict(payload)),
        associate_with_parent=True,
        result_selector={key: sfn.JsonPath.object_at(f"$.Output.{key}") for key in get_type_hints(output or dict)},
        result_path=path(result) if result else sfn.JsonPath.DISCARD,
    )
