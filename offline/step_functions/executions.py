"""Executions that the service names, that stop at once and that can be redriven."""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from types import ModuleType
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.stepfunctions import urls
from moto.stepfunctions.exceptions import InvalidName
from moto.stepfunctions.parser.api import (
    ExecutionRedrivenEventDetails,
    ExecutionStartedEventDetails,
    ExecutionStatus,
    HistoryEventExecutionDataDetails,
    HistoryEventType,
)
from moto.stepfunctions.parser.api import InvalidDefinition as StockInvalidDefinition
from moto.stepfunctions.parser.asl.component.common.flow.start_at import StartAt
from moto.stepfunctions.parser.asl.eval.evaluation_details import EvaluationDetails
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.backend.execution import Execution as StockExecution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from offline.step_functions import callbacks
from offline.step_functions.integrations import refused_parameters

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_NAME: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
REDRIVABLE: Final = (ExecutionStatus.FAILED, ExecutionStatus.ABORTED, ExecutionStatus.TIMED_OUT)


class InvalidDefinition(AWSError):
    TYPE = "InvalidDefinition"
    STATUS = 400


class ExecutionNotRedrivable(AWSError):
    TYPE = "ExecutionNotRedrivable"
    STATUS = 400


class Communication(BaseExecutionWorkerCommunication):
    """Takes the outcome of a run into its execution, unless the execution was stopped or redriven meanwhile."""

    def __init__(self, execution: "Execution", run: int) -> None:
        super().__init__(execution)
        self._run = run

    def terminated(self) -> None:
        if self.execution.exec_status == ExecutionStatus.RUNNING and self.execution.redrive_count == self._run:
            super().terminated()


class Worker(ExecutionWorker):
    """One run of an execution: the first, or a redrive that goes on from the state that did not succeed."""

    def __init__(self, execution: "Execution", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.execution = execution

    def start(self) -> None:
        self.env = self._get_evaluation_environment()
        Thread(target=self._execution_logic, name=self.execution.exec_arn, daemon=True).start()

    def _execution_logic(self) -> None:
        program = self._get_evaluation_entrypoint()
        execution, env = self.execution, self.env
        if execution.resumed is not None and execution.resumed.state_name:
            program.start_at = StartAt(execution.resumed.state_name)
        if execution.redrive_count:
            kind, details = (
                HistoryEventType.ExecutionRedriven,
                EventDetails(
                    executionRedrivenEventDetails=ExecutionRedrivenEventDetails(redriveCount=execution.redrive_count)
                ),
            )
        else:
            kind, details = (
                HistoryEventType.ExecutionStarted,
                EventDetails(
                    executionStartedEventDetails=ExecutionStartedEventDetails(
                        input=json.dumps(execution.input_data),
                        inputDetails=HistoryEventExecutionDataDetails(truncated=False),
                        roleArn=execution.role_arn,
                    )
                ),
            )
        env.event_manager.add_event(
            context=env.event_history_context, event_type=kind, event_details=details, update_source_event_id=False
        )
        if execution.exec_status == ExecutionStatus.RUNNING:
            program.eval(env)
        self._execution_communication.terminated()

    def _get_evaluation_environment(self) -> Any:
        """The interpreter's state, with the fields of the context object that moto leaves out or gives another type.

        https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
        """
        env = super()._get_evaluation_environment()
        context = env.states.context_object.context_object_data["Execution"]
        context["RedriveCount"] = self.execution.redrive_count
        context["StartTime"] = _iso(self.execution.start_date)
        if (resumed := self.execution.resumed) is not None:
            context["RedriveTime"] = _iso(resumed.at)
            env.event_manager, env.variable_store = resumed.env.event_manager, resumed.env.variable_store
            env.states.reset(resumed.state_input)
        return env


@dataclass(frozen=True)
class Resumed:
    """Where a redrive goes on: the interpreter's last state, the name ("" before the first) and input of the
    top-level state that was entered last."""

    env: Any
    state_name: str
    state_input: Any
    at: datetime

    @classmethod
    def after(cls, env: Any, execution_input: Any) -> "Resumed":
        name = env.states.context_object.context_object_data.get("State", {}).get("Name", "")
        entered = [
            event["stateEnteredEventDetails"]["input"]
            for event in env.event_manager.get_event_history()
            if event.get("stateEnteredEventDetails", {}).get("name") == name
        ]
        return cls(env, name, json.loads(entered[-1]) if entered else execution_input, datetime.now(UTC))


class Execution(StockExecution):
    """A run of a state machine.

    A redrive runs a failed Map or Parallel state again as a whole, where AWS runs only the iterations and branches
    that did not succeed; everything else is as https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    says.
    """

    exec_status: Any
    exec_worker: Any
    stop_date: datetime | None
    redrive_count = 0
    resumed: Resumed | None = None
    closed_tokens: frozenset[str] = frozenset()
    """Tokens of the runs before the last redrive."""

    def _get_start_execution_worker(self) -> Any:
        return Worker(
            self,
            evaluation_details=EvaluationDetails(
                aws_execution_details=self._get_start_aws_execution_details(),
                execution_details=self.get_start_execution_details(),
                state_machine_details=self.get_start_state_machine_details(),
            ),
            exec_comm=Communication(self, self.redrive_count),
            cloud_watch_logging_session=self._cloud_watch_logging_session,
            activity_store=self._activity_store,
        )

    def stop(self, stop_date: datetime, error: str | None, cause: str | None) -> None:
        """End as ABORTED now; what still runs (a job's stop, a retry's pause) winds down by itself."""
        if self.exec_status != ExecutionStatus.RUNNING:
            return
        self.exec_status, self.stop_date = ExecutionStatus.ABORTED, stop_date
        self.error, self.cause = error or None, cause or None
        self.exec_worker.stop(stop_date=stop_date, cause=cause, error=error)

    def redrive(self) -> None:
        """Run again from the state that did not succeed, with the input that it had.

        Raises:
            ExecutionNotRedrivable: the execution runs or succeeded.
        """
        if self.exec_status not in REDRIVABLE:
            raise ExecutionNotRedrivable(f"Execution is {self.status} and cannot be redriven")
        self.resumed = Resumed.after(self.exec_worker.env, self.input_data)
        self.closed_tokens |= callbacks.tokens(self.exec_worker.env)
        self.redrive_count += 1
        self.stop_date = self.error = self.cause = self.output = None
        self.exec_status = ExecutionStatus.RUNNING
        self.exec_worker = self._get_start_execution_worker()
        self.exec_worker.start()


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check(definition: str) -> None:
    """Refuse what Step Functions refuses when a state machine is created or updated."""
    try:
        StepFunctionsParserBackend._validate_definition(definition)
    except StockInvalidDefinition as error:
        raise InvalidDefinition(f"Invalid State Machine Definition: '{error}'") from None
    for refusal in refused_parameters(definition):
        raise InvalidDefinition(f"Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {refusal}'")


class StateMachines(StepFunctionsParserBackend):
    """Every state machine of a region, those from CloudFormation included."""

    @property
    def _url_module(self) -> ModuleType:
        return urls  # type: ignore[no-any-return]

    def create_state_machine(self, name: str, definition: str, *arguments: Any, **named: Any) -> Any:
        _check(definition)
        return super().create_state_machine(name, definition, *arguments, **named)

    def update_state_machine(self, arn: str, definition: str | None = None, *arguments: Any, **named: Any) -> Any:
        if definition is not None:
            _check(definition)
        return super().update_state_machine(arn, definition, *arguments, **named)

    def delete_state_machine(self, arn: str) -> None:
        for machine in self.state_machines:
            if machine.arn == arn:
                for execution in machine.executions:
                    execution.stop(datetime.now(UTC), None, None)
        super().delete_state_machine(arn)

    def start_execution(self, state_machine_arn: str, name: str | None = None, *arguments: Any, **named: Any) -> Any:
        name = name or str(uuid.uuid4())
        if not _NAME.fullmatch(name):
            raise InvalidName(f"Invalid Name: '{name}'")
        return super().start_execution(state_machine_arn, name, *arguments, **named)

    def send_task_success(self, task_token: str, outcome: str) -> None:
        callbacks.succeed(self._executions(), task_token, outcome)

    def send_task_failure(self, task_token: str, error: str | None = None, cause: str | None = None) -> None:
        callbacks.fail(self._executions(), task_token, error, cause)

    def send_task_heartbeat(self, task_token: str) -> None:
        callbacks.heartbeat(self._executions(), task_token)

    def _executions(self) -> list[Any]:
        return [execution for machine in self.state_machines for execution in machine.executions]
