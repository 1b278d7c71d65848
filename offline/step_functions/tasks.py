"""The task services that moto's interpreter lacks, and what must be mended in those that it has.

Tasks are shared by the parallel iterations of a Map: they keep nothing of a run in themselves.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import (
    HistoryEventExecutionDataDetails,
    HistoryEventType,
    TaskFailedEventDetails,
    TaskSubmittedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ServiceResource
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from offline.roles import Clients
from offline.step_functions import shapes
from offline.step_functions.integrations import ACCEPTED, JOBS, JobIntegration

POLL_SECONDS: Final = 0.15
LONGEST_POLL_SECONDS: Final = 1.0
"""A look costs what a request costs, on the same processors as the job: a long one is looked at less and less often."""

# (prefix of an optimized integration's error names, the service as its Java client calls it): an error that the API
# declares is "<prefix>.<error>Exception", any other "<prefix>.<client>Exception".
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_ERROR_NAMES: Final = {
    "sagemaker": ("SageMaker", "AmazonSageMaker"),
    "codebuild": ("CodeBuild", "AWSCodeBuild"),
    "stepfunctions": ("StepFunctions", "AWSStepFunctions"),
}
# The prefixes of AWS SDK integrations: the names of the clients of the AWS SDK for Java 2.
_SDK_ERROR_NAMES: Final = {
    "codebuild": "CodeBuild",
    "ecr": "Ecr",
    "greengrassv2": "GreengrassV2",
    "iot": "Iot",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sfn": "Sfn",
}


class RunJob(StateTaskService):
    """A ".sync" task: starts a job, waits for its end, stops it when the execution or the task's time ends first."""

    def __init__(self, integration: JobIntegration, client: Callable[[str, str], Any]) -> None:
        super().__init__()
        self._integration = integration
        self._client = client

    def _get_supported_parameters(self) -> frozenset[str] | None:
        return ACCEPTED.get(f"{self.resource.service_name}:{self.resource.api_action}")

    def _get_sfn_resource(self) -> str:
        return f"{self.resource.api_action}.{self.resource.condition}"

    def _eval_service_task(
        self, env: Any, *, normalised_parameters: dict[str, Any], state_credentials: Any, **_: Any
    ) -> None:
        job = self._integration
        client = self._client(job.service, state_credentials.role_arn)
        answer = getattr(client, job.start)(**normalised_parameters)
        answer.pop("ResponseMetadata", None)
        self._tell_submitted(env, _result(answer, job.service, job.start))
        result, pause = None, POLL_SECONDS
        while env.is_running() and (result := self._poll(env, client, answer, normalised_parameters)) is None:
            time.sleep(pause)
            pause = min(1.1 * pause, LONGEST_POLL_SECONDS)
        if result is None:
            with suppress(ClientError):  # a job that ended meanwhile cannot be stopped
                getattr(client, job.stop)(**job.end(answer, normalised_parameters))
        env.stack.append(result)

    def _poll(self, env: Any, client: Any, answer: dict[str, Any], request: dict[str, Any]) -> dict[str, Any] | None:
        """The job once it succeeded, None while it runs.

        Raises:
            FailureEventException: the job ended otherwise; the cause is the job as the service describes it.
        """
        job = self._integration
        try:
            described = getattr(client, job.describe)(**job.find(answer, request))
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("Throttling"):
                return None
            raise
        described.pop("ResponseMetadata", None)
        found = job.job(described)
        status = job.status(found)
        if status in job.running:
            return None
        for name in job.json_fields & found.keys():
            found[name] = json.loads(found[name])
        result = _result(found, job.service, job.shape or job.describe)
        if status != job.succeeded:
            raise self._failed(env, "States.TaskFailed", json.dumps(result))
        return result

    def _tell_submitted(self, env: Any, answer: dict[str, Any]) -> None:
        details = TaskSubmittedEventDetails(
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
            output=json.dumps(answer),
            outputDetails=HistoryEventExecutionDataDetails(truncated=False),
        )
        env.event_manager.add_event(
            context=env.event_history_context,
            event_type=HistoryEventType.TaskSubmitted,
            event_details=EventDetails(taskSubmittedEventDetails=details),
        )

    def _failed(self, env: Any, error: str, cause: str) -> Exception:
        details = TaskFailedEventDetails(
            resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type(), error=error, cause=cause
        )
        failure: Exception = FailureEventException(
            FailureEvent(
                env=env,
                error_name=ErrorName(error_name=error),
                event_type=HistoryEventType.TaskFailed,
                event_details=EventDetails(taskFailedEventDetails=details),
            )
        )
        return failure

    def _normalise_response(self, response: Any, *_: Any, **__: Any) -> None:
        """Nothing: `_eval_service_task` leaves the result as it must be."""

    def _after_eval_execution(self, env: Any, *arguments: Any, **named: Any) -> None:
        if env.is_running():  # a stopped execution says nothing about its tasks
            super()._after_eval_execution(env, *arguments, **named)

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if isinstance(ex, ClientError):
            ex = self._failed(env, *_error_and_cause(self._integration.service, ex))
        return super()._from_error(env=env, ex=ex)


def _error_and_cause(service: str, error: ClientError) -> tuple[str, str]:
    prefix, client = _ERROR_NAMES[service]
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    operation = shapes.operation(service, _START[service])
    declared = {shape.name for shape in operation.service_model.error_shapes} if operation else set()
    name = code if code in declared else client
    about = error.response["ResponseMetadata"]
    details = f"Status Code: {about['HTTPStatusCode']}; Error Code: {code}; Request ID: {about.get('RequestId')}"
    return f"{prefix}.{name.removesuffix('Exception')}Exception", f"{message} (Service: {client}; {details})"


_START: Final = {job.service: job.start for job in JOBS.values()}


def _result(answer: dict[str, Any], service: str, action: str) -> dict[str, Any]:
    operation = shapes.operation(service, action)
    result: dict[str, Any] = shapes.from_boto(answer, operation.output_shape if operation else None)
    return result


def _normalise_parameters(
    self: Any, parameters: dict[str, Any], boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    operation = shapes.operation(
        self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name)
    )
    optimized = self.resource.service_name != "aws-sdk"
    normal = shapes.to_boto(parameters, operation.input_shape if operation else None, json_text=optimized)
    parameters.clear()
    parameters.update(normal)


def _normalise_response(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    if isinstance(response, dict):
        service = self._get_boto_service_name(boto_service_name)
        normal = _result(response, service, self._get_boto_service_action(service_action_name))
        response.clear()
        response.update(normal)


def install(clients: Clients) -> None:
    """Put these tasks where the interpreter looks for them."""
    stock = state_task_factory.state_task_for

    def state_task_for(resource: Any) -> Any:
        if isinstance(resource, ServiceResource):
            integration = resource.resource_arn.partition(":states:::")[2]
            if integration in JOBS:
                return RunJob(JOBS[integration], clients.of)
        return stock(resource)

    from moto.stepfunctions.parser.asl.parse import preprocessor

    preprocessor.state_task_for = state_task_for
    StateTaskService._normalise_parameters = _normalise_parameters
    StateTaskService._normalise_response = _normalise_response
    state_task_service_aws_sdk._SERVICE_ERROR_NAMES.update(_SDK_ERROR_NAMES)
