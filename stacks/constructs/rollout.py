from typing import Final

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_stepfunctions as sfn

from reefloop import contracts as c
from settings import DeploymentSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.polling import Polling
from stacks.constructs.task import task
from stacks.storage import StorageStack

# The most looks at the canaries: each is 9 events, and an execution may have 25,000.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_LOOKS: Final = 1000


class RolloutFunctions:
    """The functions of the rollout, each with the Greengrass calls that it makes."""

    def __init__(
        self,
        stack: Stack,
        *,
        settings: DeploymentSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        table: dynamodb.ITable,
    ) -> None:
        self._stack, self._operations = stack, operations
        self.publish = self._function("Publish", "publish", ARTIFACT_BUCKET=storage.artifact_bucket.bucket_name)
        storage.grant_registry(self.publish)
        # Greengrass takes the digests of the artifacts with the caller's permissions.
        grant_objects(self.publish, storage.artifact_bucket, read=["models/*"])
        self._allow(
            self.publish,
            ["CreateComponentVersion", "DescribeComponent", "DeleteComponent", "TagResource"],
            "components",
            f"{c.MODEL_COMPONENT}*",
        )

        self.deploy = self._function(
            "Deploy",
            "deploy",
            DEVICES_PER_MINUTE=str(settings.devices_per_minute),
            ABORT_FAILED_PERCENT=str(settings.abort_failed_percent),
            CANARY_TIMEOUT_SECONDS=str(settings.canary_timeout_seconds),
        )
        self.roll_back = self._function("RollBack", "roll_back")
        storage.grant_registry(self.roll_back, update=True)
        for function in (self.deploy, self.roll_back):
            self._allow_deployments(function)

        self.check = self._function("Check", "check", RECORDS_TABLE=table.table_name)
        self.check.add_to_role_policy(iam.PolicyStatement(actions=["dynamodb:GetItem"], resources=[table.table_arn]))
        self._allow(self.check, ["ListEffectiveDeployments"], "coreDevices", "*")
        _allow_everywhere(self.check, "greengrass:ListDeployments")
        self._allow_iot(self.check, "ListThingsInThingGroup")
        self._allow_iot(self.check, "DescribeJob", "DescribeJobExecution", "DescribeThing", "GetThingShadow")

    def _function(self, name: str, handler: str, **environment: str) -> Function:
        return Function(
            self._stack,
            f"{name}Function",
            handler=f"deployment.{handler}",
            environment=environment,
            operations=self._operations,
        )

    def _allow(self, function: Function, actions: list[str], resource: str, name: str) -> None:
        arn = self._stack.format_arn(
            service="greengrass", resource=resource, resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        function.add_to_role_policy(
            iam.PolicyStatement(actions=[f"greengrass:{action}" for action in actions], resources=[arn])
        )

    def _allow_deployments(self, function: Function) -> None:
        """A deployment to a thing group is an IoT job, made with the caller's permissions.

        https://docs.aws.amazon.com/greengrass/v2/developerguide/device-auth.html
        """
        self._allow(function, ["GetDeployment", "TagResource"], "deployments", "*")
        # Neither takes a resource:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiotgreengrassv2.html
        _allow_everywhere(function, "greengrass:CreateDeployment", "greengrass:ListDeployments")
        self._allow_iot(function, "CreateJob", "CancelJob", "DescribeJob", "UpdateJob", "DescribeThing")
        self._allow_iot(function, "GetThingShadow", "UpdateThingShadow", "DeleteThingShadow")

    def _allow_iot(self, function: Function, *actions: str) -> None:
        things = (("thinggroup", "reefloop-*"), ("job", "*"), ("thing", "*"))
        resources = [self._stack.format_arn(service="iot", resource=kind, resource_name=name) for kind, name in things]
        actions = (*actions, "DescribeThingGroup")
        function.add_to_role_policy(
            iam.PolicyStatement(actions=[f"iot:{action}" for action in actions], resources=resources)
        )


def _allow_everywhere(function: Function, *actions: str) -> None:
    function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=["*"]))


def rollout(
    stack: Stack,
    functions: RolloutFunctions,
    *,
    canary_group: iot.CfnThingGroup,
    fleet_group: iot.CfnThingGroup,
    settings: DeploymentSettings,
    operations: OperationsSettings,
) -> sfn.IChainable:
    """Publish the model as a component, deploy it to the canary group, watch it there, then the fleet or back."""

    def deploy(name: str, group: iot.CfnThingGroup, result: str) -> FunctionTask:
        event = {c.COMPONENT_VERSION: at(c.COMPONENT, c.COMPONENT_VERSION), c.GROUP_ARN: group.attr_arn}
        return FunctionTask(stack, name, function=functions.deploy, event=event, result=result)

    check = FunctionTask(
        stack,
        "CheckCanary",
        function=functions.check,
        event={
            c.MODEL_VERSION: at(c.MODEL_VERSION),
            c.GROUP_ARN: canary_group.attr_arn,
            c.DEPLOYMENT_ID: at(c.CANARY, c.DEPLOYMENT_ID),
            c.DEADLINE: at(c.CANARY, c.DEADLINE),
        },
        result=c.HEALTH,
    )
    roll_back = _roll_back(stack, functions, canary_group, fleet_group)
    # Whatever kept it from knowing: canaries with a model that nobody has proven must not stay as they are.
    check.add_catch(_not_checked(stack).next(roll_back), result_path=path(c.ERROR))
    canary = Polling(
        stack,
        "Canary",
        describe=check,
        status=(c.HEALTH, c.STATE),
        succeeded=["passed"],
        on_success=deploy("DeployFleet", fleet_group, c.FLEET).next(_rolled_out(stack)),
        failed=["failed", "refused", "replaced"],
        on_failure=roll_back,
        seconds=max(operations.poll_seconds, settings.canary_timeout_seconds // _LOOKS),
    )
    published = Polling(
        stack,
        "Component",
        describe=task(
            stack,
            "DescribeComponent",
            integration="aws-sdk:greengrassv2:describeComponent",
            request={"Arn.$": path(c.COMPONENT, c.COMPONENT_ARN)},
            selector={"Status.$": "$.Status"},
            result=c.PUBLISHED,
        ),
        status=(c.PUBLISHED, "Status", "ComponentState"),
        succeeded=["DEPLOYABLE"],
        on_success=deploy("DeployCanary", canary_group, c.CANARY).next(canary),
        failed=["FAILED", "DEPRECATED"],
        on_failure=sfn.Fail(
            stack,
            "ComponentFailed",
            error="ComponentFailed",
            cause_path=sfn.JsonPath.json_to_string(sfn.JsonPath.object_at(path(c.PUBLISHED, "Status"))),
        ),
        seconds=operations.poll_seconds,
    )
    return FunctionTask(
        stack,
        "Publish",
        function=functions.publish,
        event={c.MODEL_VERSION: at(c.MODEL_VERSION), c.PACKAGES: sfn.JsonPath.list_at(path(c.PACKAGES))},
        result=c.COMPONENT,
    ).next(published)


def _rolled_out(stack: Stack) -> sfn.Pass:
    return sfn.Pass(
        stack,
        "RolledOut",
        parameters={
            c.MODEL_VERSION: at(c.MODEL_VERSION),
            c.COMPONENT_VERSION: at(c.COMPONENT, c.COMPONENT_VERSION),
            c.CANARY: sfn.JsonPath.object_at(path(c.CANARY)),
            c.FLEET: sfn.JsonPath.object_at(path(c.FLEET)),
        },
    )


def _not_checked(stack: Stack) -> sfn.Pass:
    reason = sfn.JsonPath.format("CheckCanary ended with {}: {}", at(c.ERROR, "Error"), at(c.ERROR, "Cause"))
    return sfn.Pass(
        stack,
        "CanaryNotChecked",
        parameters={c.STATE: "failed", c.REASONS: sfn.JsonPath.array(reason)},
        result_path=path(c.HEALTH),
    )


def _roll_back(
    stack: Stack, functions: RolloutFunctions, canary_group: iot.CfnThingGroup, fleet_group: iot.CfnThingGroup
) -> sfn.Chain:
    return FunctionTask(
        stack,
        "RollBack",
        function=functions.roll_back,
        event={
            c.MODEL_VERSION: at(c.MODEL_VERSION),
            c.COMPONENT_VERSION: at(c.COMPONENT, c.COMPONENT_VERSION),
            c.GROUP_ARN: canary_group.attr_arn,
            c.FLEET_ARN: fleet_group.attr_arn,
            c.HEALTH: sfn.JsonPath.object_at(path(c.HEALTH)),
        },
        result=c.ROLLED_BACK,
    ).next(
        sfn.Fail(
            stack,
            "CanaryFailed",
            error="CanaryFailed",
            cause_path=sfn.JsonPath.format(
                "model {} did not pass on the canary devices, which {}: {}",
                at(c.MODEL_VERSION),
                at(c.ROLLED_BACK, c.OUTCOME),
                sfn.JsonPath.json_to_string(sfn.JsonPath.object_at(path(c.HEALTH, c.REASONS))),
            ),
        )
    )
