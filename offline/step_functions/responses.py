"""The calls that moto's Step Functions lacks or answers in part."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.responses import StepFunctionResponse

from offline.step_functions.executions import REDRIVABLE

_EVENTS: Final = 100
"""Of a history per page, where nobody says how many."""


class Responses(StepFunctionResponse):
    def send_task_failure(self) -> Any:
        self.stepfunction_backend.send_task_failure(
            self._get_param("taskToken"), self._get_param("error"), self._get_param("cause")
        )
        return EmptyResult()

    def stop_execution(self) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
        return ActionResult({"stopDate": execution.stop_date})

    def redrive_execution(self) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        execution.redrive()
        return ActionResult({"redriveDate": execution.resumed.at})

    def describe_execution(self) -> Any:
        answer = super().describe_execution()
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        redrivable = execution.exec_status in REDRIVABLE
        answer.result["redriveCount"] = execution.redrive_count
        answer.result["redriveStatus"] = "REDRIVABLE" if redrivable else "NOTREDRIVABLE"
        if execution.resumed is not None:
            answer.result["redriveDate"] = execution.resumed.at
        if execution.stop_date is not None:
            answer.result["stopDate"] = execution.stop_date
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            answer.result["output"] = json.dumps(execution.output)  # moto leaves text as it is, which is no JSON
        return answer

    def get_execution_history(self) -> Any:
        arn, size = self._get_param("executionArn"), int(self._get_param("maxResults") or _EVENTS)
        events = self.stepfunction_backend.get_execution_history(arn)["events"]
        if self._get_param("reverseOrder"):
            events = events[::-1]
        start = int(self._get_param("nextToken") or 0)
        answer = {"events": events[start : start + size]}
        if start + size < len(events):
            answer["nextToken"] = str(start + size)
        return ActionResult(answer)
