"""The labeling station: a batch is published, people answer on their own laptops, a task token says that they have."""

from collections.abc import Mapping, Sequence

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from reefloop import contracts as c
from settings import LabelingSettings, OperationsSettings
from stacks.constructs.function import Function, retry_when_throttled
from stacks.constructs.labeling_team import TeamStates, task_names
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import path


class StationBatch(sfn.StateMachineFragment):
    """A published batch that tells how it ended and never fails its Map: a deadline that passed is a result too.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, publish: Function, team_name: str, availability_seconds: int
    ) -> None:
        super().__init__(scope, f"{construct_id}Batch")
        self._told = sfn.Pass(scope, f"{construct_id}Failed", comment="The error is the batch's result")
        self._batch = tasks.LambdaInvoke(
            scope,
            construct_id,
            lambda_function=publish,
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            payload=sfn.TaskInput.from_object(_event(team_name)),
            task_timeout=sfn.Timeout.duration(Duration.seconds(availability_seconds)),
        )
        retry_when_throttled(self._batch)
        self._batch.add_catch(self._told)

    @property
    def start_state(self) -> sfn.State:
        return self._batch

    @property
    def end_states(self) -> list[sfn.INextable]:
        return [self._batch, self._told]


def _event(team_name: str) -> Mapping[str, object]:
    return {
        c.ROUND: sfn.JsonPath.string_at(path(c.ROUND)),
        c.TEAM: team_name,
        c.CHUNK: sfn.JsonPath.object_at(path(c.CHUNK)),
        c.TEMPLATE_URI: sfn.JsonPath.string_at(path(c.TEMPLATE_URI)),
        c.TOKEN: sfn.JsonPath.task_token,
    }


class StationPeople:
    """This project's own labeling station, for accounts that Ground Truth does not take."""

    def __init__(
        self,
        scope: Construct,
        *,
        kinds: Mapping[str, str],
        task: str,
        bucket: s3.IBucket,
        settings: LabelingSettings,
        operations: OperationsSettings,
    ) -> None:
        self._scope = scope
        self.statements: Sequence[iam.PolicyStatement] = ()
        self.environment: Mapping[str, str] = task_names(kinds)
        self.job_seconds = settings.availability_seconds
        self._publish = Function(
            scope,
            "PublishBatchFunction",
            handler="labeling.publish_batch",
            environment={
                "DATA_BUCKET": bucket.bucket_name,
                "TASK": task,
                **task_names(kinds),
                "WORKERS_PER_OBJECT": str(settings.workers_per_object),
                "EXPERTS_PER_OBJECT": str(settings.experts_per_object),
                "AVAILABILITY_SECONDS": str(settings.availability_seconds),
            },
            operations=operations,
        )
        grant_objects(self._publish, bucket, read=["gold/*"], write=["rounds/*"])

    def job(self, states: TeamStates) -> sfn.IChainable:
        return StationBatch(
            self._scope,
            f"{states.label}Chunk",
            publish=self._publish,
            team_name=states.name,
            availability_seconds=self.job_seconds,
        )

    def begin(self, rest: sfn.IChainable) -> sfn.IChainable:
        return rest


class StationLabeler(iam.ManagedPolicy):
    """What a person at the station may do: attach it to the role or user that they label as.

    They see images and batches but not what gold's labels are, add votes but neither read nor delete anybody's, and
    say that a batch of this machine is finished or abandoned. The bucket's name they learn from the stack that has it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, machine: sfn.StateMachine) -> None:
        rounds = c.round_key("*")
        responses = f"{rounds}{c.LABELING_JOBS_FOLDER}*/station-*/{c.WORKER_RESPONSES}*"

        def objects(*patterns: str) -> list[str]:
            return [bucket.arn_for_objects(pattern) for pattern in patterns]

        storage = Stack.of(bucket)
        its_outputs = storage.format_arn(
            service="cloudformation", resource="stack", resource_name=f"{storage.stack_name}/*"
        )
        finish = [f"states:SendTask{verb}" for verb in ("Success", "Failure")]
        read = objects(
            f"{c.IMAGES}*", "gold/*", *(f"{rounds}{folder}*" for folder in (c.TASKS_FOLDER, c.STATION_FOLDER))
        )
        super().__init__(
            scope,
            construct_id,
            description="For the people who label at the station of reefloop",
            statements=[
                iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=[its_outputs]),
                # Of images too: who may not list is told "access denied" of an image that is gone, and could not go on.
                iam.PolicyStatement(
                    actions=["s3:ListBucket"],
                    resources=[bucket.bucket_arn],
                    conditions={"StringLike": {"s3:prefix": [f"{c.ROUNDS}*", f"{c.IMAGES}*", "gold/*"]}},
                ),
                iam.PolicyStatement(actions=["s3:GetObject"], resources=read),
                iam.PolicyStatement(
                    effect=iam.Effect.DENY, actions=["s3:GetObject"], resources=objects(c.GOLD_MANIFEST)
                ),
                iam.PolicyStatement(actions=["s3:PutObject"], resources=objects(responses)),
                iam.PolicyStatement(actions=finish, resources=[machine.state_machine_arn]),
            ],
        )
        CfnOutput(scope, "StationLabelerArn", key="StationLabeler", value=self.managed_policy_arn)
