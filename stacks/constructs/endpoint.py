"""The endpoint test as states: the compiled model is hosted for minutes, asked what it was trained for, and gone."""

from collections.abc import Sequence
from itertools import pairwise

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.polling import Polling
from stacks.constructs.sagemaker import JobRole, job_tags
from stacks.constructs.task import task
from stacks.storage import StorageStack

# https://docs.aws.amazon.com/sagemaker/latest/dg/neo-deployment-hosting-services-container-images.html
_REPOSITORIES = ("sagemaker-neo-*", "sagemaker-inference-*", "xgboost-neo")
# How long an execution itself sees to what it made, after the endpoint had its time (compilation/unhost.py), and more.
_WATCHED_SECONDS = 3 * 3600


class EndpointTest(sfn.StateMachineFragment):
    """Host, ask, delete. It stands inside the Map's item, where the package of a target is final.

    It reads `$.model_version`, `$.target` (CompilationTarget) and the Package at `$.packaged.package`, and leaves the
    Package there: as it was when the endpoint answered rightly, otherwise refused with the failure kind "endpoint". A
    package that is not compiled, or not delivered by an endpoint, passes through untouched, so that the machine can
    chain it unconditionally: `judge.next(endpoint).next(done)`.

    Nothing that it made outlives it: whatever fails leads to Unhost, and what an execution leaves that was stopped
    is swept away within hours.

        endpoint = EndpointTest(self, "Endpoint", settings=settings, operations=operations, storage=storage)
        Machine(..., statements=[*job_statements(...), *endpoint.statements])
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: CompilationSettings,
        operations: OperationsSettings,
        storage: StorageStack,
    ) -> None:
        super().__init__(scope, construct_id)
        self._scope, self._settings, self._operations, self._storage = scope, settings, operations, storage
        self._role = self._container_role()
        self._done = sfn.Pass(scope, "EndpointDone")
        unhost = self._unhost()
        failed = sfn.Pass(
            scope,
            "HostFailed",
            parameters={
                c.STATE: "failed",
                c.REASON: sfn.JsonPath.format("{}: {}", at(c.ERROR, "Error"), at(c.ERROR, "Cause")),
            },
            result_path=path(c.TRIAL),
        ).next(unhost)
        name = sfn.Pass(
            scope,
            "NameEndpoint",
            # Once and for all: a state that is retried or redriven must find what an earlier one made.
            parameters={
                c.NAME: _name(),
                c.STARTED: sfn.JsonPath.string_at("$$.State.EnteredTime"),
            },
            result_path=path(c.ENDPOINT),
        )
        made = [self._host(), *self._create()]
        asked = self._try()
        for state in (*made, asked):
            state.add_catch(failed, errors=["States.ALL"], result_path=path(c.ERROR))
        name.next(made[0])
        for state, following in pairwise(made):
            state.next(following)
        made[-1].next(
            Polling(
                scope,
                "Endpoint",
                describe=asked,
                status=(c.TRIAL, c.STATE),
                succeeded=["passed"],
                on_success=unhost,
                failed=["failed"],
                on_failure=unhost,
                seconds=operations.poll_seconds,
            )
        )
        is_compiled = sfn.Condition.string_equals(path(c.PACKAGED, c.PACKAGE, c.OUTCOME), "compiled")
        is_hosted = sfn.Condition.string_equals(path(c.PACKAGED, c.PACKAGE, c.DELIVERY), "endpoint")
        self._start = sfn.Choice(scope, "IsHosted").when(sfn.Condition.and_(is_compiled, is_hosted), name)
        self._start.otherwise(self._done)
        self._sweep()

    @property
    def start_state(self) -> sfn.State:
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        return [self._done]

    @property
    def statements(self) -> list[iam.PolicyStatement]:
        """What the state machine's role needs on top.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
        """
        made = self._named("model", "endpoint-config", "endpoint")
        creates = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "AddTags")
        return [
            iam.PolicyStatement(actions=[f"sagemaker:{action}" for action in creates], resources=made),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self._role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]

    def _host(self) -> FunctionTask:
        host = self._function(
            "Host", "host", TIMEOUT_SECONDS=str(self._settings.endpoint.timeout_seconds), scratch_mib=8192
        )
        grant_objects(host, self._storage.data_bucket, read=["models/*"], write=["models/*/endpoint/*"])
        return FunctionTask(
            self._scope,
            "Host",
            function=host,
            event={c.NAME: at(c.ENDPOINT, c.NAME), **self._subject()},
            result=c.HOSTING,
        )

    def _create(self) -> list[sfn.CustomState]:
        """Model, configuration, endpoint. CreateEndpoint may not see its configuration at once: it is asked again.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
        """
        name = path(c.ENDPOINT, c.NAME)
        model = {"PrimaryContainer.$": path(c.HOSTING, c.CONTAINER), "ExecutionRoleArn": self._role.role_arn}
        config = {"ProductionVariants.$": path(c.HOSTING, c.VARIANTS)}
        requests = {
            "Model": {"ModelName.$": name, **model},
            "EndpointConfig": {"EndpointConfigName.$": name, **config},
            "Endpoint": {"EndpointName.$": name, "EndpointConfigName.$": name},
        }
        return [
            task(
                self._scope,
                f"Create{kind}",
                integration=f"aws-sdk:sagemaker:create{kind}",
                request={**request, "Tags": job_tags("compilation")},
                selector={f"{kind}Arn.$": f"$.{kind}Arn"},
                result=c.JOB,
            )
            for kind, request in requests.items()
        ]

    def _try(self) -> FunctionTask:
        function = self._function("TryEndpoint", "try_endpoint")
        grant_objects(function, self._storage.data_bucket, read=["models/*/model.tar.gz"])
        _allow(function, ["DescribeEndpoint", "InvokeEndpoint"], self._named("endpoint"))
        return FunctionTask(
            self._scope,
            "TryEndpoint",
            function=function,
            event={
                c.NAME: at(c.ENDPOINT, c.NAME),
                c.MODEL_VERSION: at(c.MODEL_VERSION),
                c.TARGET: sfn.JsonPath.object_at(path(c.TARGET)),
                c.IMAGE: at(c.PACKAGED, c.PACKAGE, c.INFERENCE_IMAGE),
                c.DEADLINE: at(c.HOSTING, c.DEADLINE),
            },
            result=c.TRIAL,
        )

    def _unhost(self) -> FunctionTask:
        """Delete, look, and delete again until nothing is left; what it answers is the end of the package."""
        function = self._function("Unhost", "unhost")
        self._allow_delete(function)
        unhost = FunctionTask(
            self._scope,
            "Unhost",
            function=function,
            event={
                c.NAME: at(c.ENDPOINT, c.NAME),
                c.STARTED: at(c.ENDPOINT, c.STARTED),
                c.PACKAGE: sfn.JsonPath.object_at(path(c.PACKAGED, c.PACKAGE)),
                c.TRIAL: sfn.JsonPath.object_at(path(c.TRIAL)),
            },
            result=c.PACKAGED,
        )
        pause = sfn.WaitTime.duration(Duration.seconds(self._operations.poll_seconds))
        wait = sfn.Wait(self._scope, "UnhostWait", time=pause).next(unhost)
        is_waiting = sfn.Condition.string_equals(path(c.PACKAGED, c.STATE), "waiting")
        unhost.next(sfn.Choice(self._scope, "IsUnhosted").when(is_waiting, wait).otherwise(self._done))
        return unhost

    def _sweep(self) -> None:
        """An execution that is stopped deletes nothing, so every hour somebody else looks after it."""
        age_seconds = self._settings.endpoint.timeout_seconds + _WATCHED_SECONDS
        sweep = self._function("Sweep", "sweep", AGE_SECONDS=str(age_seconds))
        self._allow_delete(sweep)
        _allow(sweep, ["ListModels", "ListEndpoints"], ["*"])
        events.Rule(
            self._scope,
            "SweepRule",
            description="Nothing of an endpoint test is left",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[targets.LambdaFunction(sweep)],
        )

    def _subject(self) -> dict[str, object]:
        return {
            c.MODEL_VERSION: at(c.MODEL_VERSION),
            c.TARGET: sfn.JsonPath.object_at(path(c.TARGET)),
            c.PACKAGE: sfn.JsonPath.object_at(path(c.PACKAGED, c.PACKAGE)),
        }

    def _container_role(self) -> JobRole:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms"""
        role = JobRole(self._scope, "EndpointJobRole")
        grant_objects(role, self._storage.data_bucket, read=["models/*/compiled/*", "models/*/endpoint/*"])
        stack = Stack.of(self._scope)
        images = [
            # Neo's containers are in accounts of AWS, another one in each region.
            stack.format_arn(service="ecr", account="*", resource="repository", resource_name=name)
            for name in _REPOSITORIES
        ]
        pulls = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        role.add_to_policy(iam.PolicyStatement(actions=[f"ecr:{action}" for action in pulls], resources=images))
        role.add_to_policy(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
        return role

    def _function(self, name: str, handler: str, *, scratch_mib: int = 512, **environment: str) -> Function:
        return Function(
            self._scope,
            f"{name}Function",
            handler=f"compilation.{handler}",
            environment={"DATA_BUCKET": self._storage.data_bucket.bucket_name, **environment},
            timeout=Duration.minutes(10),
            memory_mib=1024,
            scratch_mib=scratch_mib,
            operations=self._operations,
        )

    def _named(self, *kinds: str) -> list[str]:
        stack = Stack.of(self._scope)
        return [stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{c.ENDPOINTS}*") for kind in kinds]

    def _allow_delete(self, function: Function) -> None:
        _allow(function, ["DescribeEndpoint", "DeleteEndpoint"], self._named("endpoint"))
        _allow(function, ["DeleteEndpointConfig"], self._named("endpoint-config"))
        _allow(function, ["DeleteModel"], self._named("model"))


def _name() -> str:
    """A name for one target of one execution; a Pass has no retries, so there is none in it."""
    identity = sfn.JsonPath.format(
        "{} {} {}",
        sfn.JsonPath.string_at("$$.Execution.Id"),
        at(c.TARGET, c.NAME),
        sfn.JsonPath.string_at("$$.Execution.RedriveCount"),
    )
    return sfn.JsonPath.format(f"{c.ENDPOINTS}{{}}", sfn.JsonPath.hash(identity, "SHA-1"))


def _allow(function: Function, actions: Sequence[str], resources: list[str]) -> None:
    function.add_to_role_policy(
        iam.PolicyStatement(actions=[f"sagemaker:{action}" for action in actions], resources=resources)
    )
