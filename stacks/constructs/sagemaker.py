"""SageMaker jobs in state machines: the states, the permissions to start them, the roles that they run under.

CDK has no task for labeling and processing jobs, and its training task lacks spot and checkpoints, so the states are
written as Amazon States Language. Requests take only the fields that the optimized integration knows:
https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from settings import OperationsSettings
from stacks.constructs.task import task


@dataclass(frozen=True)
class JobKind:
    """How one kind of job is called by the API, by ARNs and in the name of Step Functions' own EventBridge rule.

    The rule of labeling jobs is not documented: it gets the common prefix.
    """

    action: str
    resource: str
    rule: str


LABELING: Final = JobKind("LabelingJob", "labeling-job", "StepFunctionsGetEventsForSageMaker*")
PROCESSING: Final = JobKind("ProcessingJob", "processing-job", "StepFunctionsGetEventsForSageMakerProcessingJobsRule")
TRAINING: Final = JobKind("TrainingJob", "training-job", "StepFunctionsGetEventsForSageMakerTrainingJobsRule")
# What comes on top of a job's own limit: instances are found and set up, data downloaded, results uploaded.
AROUND_SECONDS: Final = 2 * 3600
COMPILATION: Final = JobKind("CompilationJob", "compilation-job", "")


def run_job(
    scope: Construct,
    construct_id: str,
    *,
    kind: JobKind,
    request: Mapping[str, Any],
    selector: Mapping[str, str],
    result: str | None = None,
    timeout_seconds: int | None = None,
    retry: Sequence[Mapping[str, Any]] = (),
) -> sfn.CustomState:
    """A state that runs a job to its end (`.sync`); what `selector` picks of its description lands at `result`, or
    without one is the state's output. Without `timeout_seconds` it is the job, or the machine, that ends in time.
    `retry` is as in `task`."""
    return task(
        scope,
        construct_id,
        integration=f"sagemaker:create{kind.action}.sync",
        request=request,
        result=result,
        selector=selector,
        timeout_seconds=timeout_seconds,
        retry=retry,
    )


def until_there_is_room(operations: OperationsSettings) -> dict[str, Any]:
    """A retrier: an account runs so many jobs of a kind at a time. With the default pauses it is asked again for
    twenty minutes at most."""
    return {
        "ErrorEquals": ["SageMaker.ResourceLimitExceededException"],
        "IntervalSeconds": operations.poll_seconds,
        "MaxAttempts": 6,
        "BackoffRate": 1.5,
        "JitterStrategy": "FULL",
    }


def job_statements(scope: Construct, kind: JobKind, role: iam.IRole) -> list[iam.PolicyStatement]:
    """What a state machine needs to run jobs of this kind under `role`.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html#sagemaker-iam
    """
    stack = Stack.of(scope)
    jobs = stack.format_arn(service="sagemaker", resource=kind.resource, resource_name="reefloop-*")
    statements = [
        iam.PolicyStatement(
            # Job names are made while the machine runs: they share the prefix.
            actions=[f"sagemaker:{verb}{kind.action}" for verb in ("Create", "Describe", "Stop")],
            resources=[jobs],
        ),
        iam.PolicyStatement(actions=["sagemaker:AddTags", "sagemaker:ListTags"], resources=[jobs]),
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
    ]
    if kind.rule:
        rule = stack.format_arn(service="events", resource="rule", resource_name=kind.rule)
        statements.append(
            # Step Functions hears of the job's end by a rule that it keeps itself.
            iam.PolicyStatement(
                actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"], resources=[rule]
            )
        )
    return statements


class JobRole(iam.Role):
    """What a job in SageMaker may do: pull the container, write logs and metrics, and what it is granted on buckets."""

    def __init__(self, scope: Construct, construct_id: str, *, repository: ecr.IRepository | None = None) -> None:
        super().__init__(
            scope,
            construct_id,
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
        )
        stack = Stack.of(scope)
        self.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                # SageMaker makes the groups and names the streams after jobs.
                resources=[
                    stack.format_arn(
                        service="logs",
                        resource="log-group",
                        resource_name="/aws/sagemaker/*",
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            )
        )
        self.add_to_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],  # the action takes no resource; the condition names what it may write
                # Jobs write to the first; Ground Truth's namespace is not documented, the service's others have both.
                # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
                conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/SageMaker*"]}},
            )
        )
        if repository:
            repository.grant_pull(self)


def job_tags(stage: str, *, round_: bool = False) -> list[dict[str, str]]:
    """The tags of every job of a stage; with `round_`, the round from the payload too."""
    tags = [{"Key": "project", "Value": "reefloop"}, {"Key": "stage", "Value": stage}]
    return [*tags, {"Key": "round", "Value.$": "$.round"}] if round_ else tags
