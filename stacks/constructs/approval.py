"""A model waits for the person who approves or rejects it in the registry."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from reefloop import contracts as c
from settings import OperationsSettings
from stacks.constructs.function import Function, retry_when_throttled
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path


class Approval(sfn.StateMachineFragment):
    """Who decides in SageMaker Studio or by UpdateModelPackage lets the machine go on, which waits under a task token.

    Nobody's decision within `seconds` is an answer too: the model is not accepted. An event that gets lost is no
    disaster, since any further change of the package sends another.
    https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: s3.IBucket,
        group_name: str,
        seconds: int,
        operations: OperationsSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        await_, changed = (
            Function(
                scope,
                f"{name}Function",
                handler=f"training.{module}",
                environment={"DATA_BUCKET": bucket.bucket_name},
                operations=operations,
            )
            for name, module in (("AwaitApproval", "await_approval"), ("ApprovalChanged", "approval_changed"))
        )
        packages = Stack.of(scope).format_arn(
            service="sagemaker", resource="model-package", resource_name=f"{group_name}/*"
        )
        for function in (await_, changed):
            grant_objects(function, bucket, read=["approvals/*"], write=["approvals/*"], delete=["approvals/*"])
            function.add_to_role_policy(
                iam.PolicyStatement(actions=["sagemaker:DescribeModelPackage"], resources=[packages])
            )
        events.Rule(
            scope,
            "ApprovalRule",
            description="Somebody decided about a model",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={"ModelPackageGroupName": [group_name], "ModelApprovalStatus": ["Approved", "Rejected"]},
            ),
            targets=[targets.LambdaFunction(changed)],
        )
        self._roles = [role for function in (await_, changed) if (role := function.role)]
        self._wait = tasks.LambdaInvoke(
            scope,
            "AwaitApproval",
            lambda_function=await_,
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            payload=sfn.TaskInput.from_object(
                {c.VERDICT: sfn.JsonPath.object_at(path(c.VERDICT)), c.TOKEN: sfn.JsonPath.task_token}
            ),
            task_timeout=sfn.Timeout.duration(Duration.seconds(seconds)),
            result_path=path(c.VERDICT),
        )
        retry_when_throttled(self._wait)
        self._nobody = sfn.Pass(
            scope,
            "NobodyDecided",
            parameters={
                c.ACCEPTED: False,
                c.REASONS: sfn.JsonPath.array(f"nobody approved or rejected it within {seconds} seconds"),
                c.APPROVAL: at(c.VERDICT, c.APPROVAL),
                c.MODEL_PACKAGE_ARN: at(c.VERDICT, c.MODEL_PACKAGE_ARN),
            },
            result_path=path(c.VERDICT),
        )
        self._wait.add_catch(self._nobody, errors=["States.Timeout"], result_path=path(c.ERROR))

    def grant_answer(self, machine: sfn.StateMachine) -> None:
        """Let the functions end the wait of this machine. A policy of its own: in the functions' own it would make
        them wait for the machine, which waits for them."""
        iam.Policy(
            self,
            "Answer",
            roles=self._roles,
            statements=[iam.PolicyStatement(actions=["states:SendTaskSuccess"], resources=[machine.state_machine_arn])],
        )

    @property
    def start_state(self) -> sfn.State:
        return self._wait

    @property
    def end_states(self) -> list[sfn.INextable]:
        return [self._wait, self._nobody]
