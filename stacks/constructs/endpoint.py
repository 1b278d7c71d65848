"""The endpoint test as states: the compiled model is hosted for minutes, asked what it was trained for, and gone."""

from itertools import pairwise

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import CompilationSettings, OperationsSettings
from stacks.constructs.endpoint_functions import EndpointFunctions
from stacks.constructs.function import FunctionTask
from stacks.constructs.paths import at, path
from stacks.constructs.polling import Patience, Polling
from stacks.constructs.sagemaker import job_tags
from stacks.constructs.task import task
from stacks.storage import StorageStack

# An endpoint that is still being made cannot be deleted, and SageMaker gives up after about an hour at the latest:
# https://github.com/aws/amazon-sagemaker-examples/issues/3432. What is left then is the business of whoever sweeps.
_UNHOST_SECONDS = 2 * 3600


class EndpointTest(sfn.StateMachineFragment):
    """Host, ask, delete. It stands inside the Map's item, where the package of a target is final.

    It reads `$.model_version`, `$.target` (CompilationTarget) and the Package at `$.packaged.package`, and leaves the
    Package there: as it was when the endpoint answered rightly, otherwise refused with the failure kind "endpoint". A
    package that is not compiled, or not delivered by an endpoint, passes through untouched.

    Nothing that it made outlives it: whatever fails leads to Unhost, and what an execution leaves that was stopped
    is swept away within hours. `statements` are what the role of the state machine needs for it. `unhost` can fail like
    any function: catch that too.
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
        self._scope = scope
        self._functions = EndpointFunctions(scope, settings=settings, operations=operations, storage=storage)
        self._done = sfn.Pass(scope, "EndpointDone")
        self.unhost = self._unhost()
        unhosting = Polling(
            scope,
            "Unhosting",
            describe=self.unhost,
            status=(c.PACKAGED, c.STATE),
            succeeded=["gone"],
            on_success=self._done,
            seconds=operations.poll_seconds,
            patience=Patience(_UNHOST_SECONDS, self._done),
            at_once=True,
        )
        made: list[FunctionTask | sfn.CustomState] = [self._host(), *self._create()]
        asked = self._try()
        failed = self._failed()
        failed.next(unhosting)
        for state in (*made, asked):
            state.add_catch(failed, errors=["States.ALL"], result_path=path(c.ERROR))
        for state, following in pairwise(made):
            state.next(following)
        made[-1].next(
            Polling(
                scope,
                "Endpoint",
                describe=asked,
                status=(c.TRIAL, c.STATE),
                succeeded=["passed"],
                on_success=unhosting,
                failed=["failed"],
                on_failure=unhosting,
                seconds=operations.poll_seconds,
                # When all pauses are over, the deadline that it is asked with has passed.
                patience=Patience(settings.endpoint.timeout_seconds, unhosting),
            )
        )
        is_compiled = sfn.Condition.string_equals(path(c.PACKAGED, c.PACKAGE, c.OUTCOME), "compiled")
        is_hosted = sfn.Condition.string_equals(path(c.PACKAGED, c.PACKAGE, c.DELIVERY), "endpoint")
        self._start = sfn.Choice(scope, "IsHosted")
        self._start.when(sfn.Condition.and_(is_compiled, is_hosted), self._named().next(made[0]))
        self._start.otherwise(self._done)
        # An execution that is stopped deletes nothing, so every hour somebody else looks after it.
        events.Rule(
            scope,
            "SweepRule",
            description="Nothing of an endpoint test is left",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[targets.LambdaFunction(self._functions.sweep)],
        )

    @property
    def statements(self) -> list[iam.PolicyStatement]:
        return self._functions.statements

    @property
    def start_state(self) -> sfn.State:
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        return [self._done]

    def _named(self) -> sfn.Pass:
        """A name, once and for all: a state that is retried or redriven must find what an earlier one made."""
        identity = sfn.JsonPath.format(
            "{} {} {}",
            sfn.JsonPath.string_at("$$.Execution.Id"),
            at(c.TARGET, c.NAME),
            sfn.JsonPath.string_at("$$.Execution.RedriveCount"),
        )
        parameters = {c.NAME: sfn.JsonPath.format(f"{c.ENDPOINTS}{{}}", sfn.JsonPath.hash(identity, "SHA-1"))}
        return sfn.Pass(self._scope, "NameEndpoint", parameters=parameters, result_path=path(c.ENDPOINT))

    def _host(self) -> FunctionTask:
        return FunctionTask(
            self._scope,
            "Host",
            function=self._functions.host,
            event={
                c.NAME: at(c.ENDPOINT, c.NAME),
                c.MODEL_VERSION: at(c.MODEL_VERSION),
                c.TARGET: sfn.JsonPath.object_at(path(c.TARGET)),
                c.PACKAGE: sfn.JsonPath.object_at(path(c.PACKAGED, c.PACKAGE)),
            },
            result=c.HOSTING,
        )

    def _create(self) -> list[sfn.CustomState]:
        """Model, configuration, endpoint. CreateEndpoint may not see its configuration at once: it is asked again.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
        """
        name, role = path(c.ENDPOINT, c.NAME), self._functions.role
        model = {"PrimaryContainer.$": path(c.HOSTING, c.CONTAINER), "ExecutionRoleArn": role.role_arn}
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
        return FunctionTask(
            self._scope,
            "TryEndpoint",
            function=self._functions.try_endpoint,
            event={
                c.NAME: at(c.ENDPOINT, c.NAME),
                c.MODEL_VERSION: at(c.MODEL_VERSION),
                c.TARGET: sfn.JsonPath.object_at(path(c.TARGET)),
                c.IMAGE: at(c.PACKAGED, c.PACKAGE, c.INFERENCE_IMAGE),
                c.DEADLINE: at(c.HOSTING, c.DEADLINE),
            },
            result=c.TRIAL,
        )

    def _failed(self) -> sfn.Pass:
        words = sfn.JsonPath.format("{}: {}", at(c.ERROR, "Error"), at(c.ERROR, "Cause"))
        parameters = {c.STATE: "failed", c.REASON: words}
        return sfn.Pass(self._scope, "HostFailed", parameters=parameters, result_path=path(c.TRIAL))

    def _unhost(self) -> FunctionTask:
        """Deletes what can be deleted by now; what it answers is the end of the package."""
        return FunctionTask(
            self._scope,
            "Unhost",
            function=self._functions.unhost,
            event={
                c.NAME: at(c.ENDPOINT, c.NAME),
                c.PACKAGE: sfn.JsonPath.object_at(path(c.PACKAGED, c.PACKAGE)),
                c.TRIAL: sfn.JsonPath.object_at(path(c.TRIAL)),
            },
            result=c.PACKAGED,
        )
