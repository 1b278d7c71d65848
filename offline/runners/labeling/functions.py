"""Who prepares a task and who makes a label of its answers: Ground Truth's own functions, or the account's.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step3-lambda-requirements.html
"""

import json
from typing import Any, Protocol

from botocore.exceptions import ClientError

from offline.runners import Job
from offline.runners.labeling.kinds import Kind
from offline.runners.labeling.labels import CONSOLIDATE, Task, metadata

_VERSION = "2018-10-16"


class FunctionFailed(Exception):
    """A function of the account gave an error, or an answer that Ground Truth cannot read."""


class Functions(Protocol):
    """The two functions of a labeling job."""

    def prepare(self, line: dict[str, Any]) -> dict[str, Any] | None:
        """The input of the worker template for one object; None when no person is needed for it.

        Raises:
            FunctionFailed: the object fails for this reason.
        """
        ...

    def consolidate(self, tasks: list[Task], request_uri: str) -> None:
        """Give each task its label, or the reason why it has none. `request_uri` holds everybody's answers."""
        ...


class BuiltIn:
    """What PRE-<task type> and ACS-<task type> do."""

    def __init__(self, job: Job, kind: Kind, categories: list[str]) -> None:
        self._job, self._kind, self._categories = job, kind, categories

    def prepare(self, line: dict[str, Any]) -> dict[str, Any]:
        return {"taskObject": line["source-ref"], "labels": self._categories, "manifestLine": line}

    def consolidate(self, tasks: list[Task], request_uri: str) -> None:  # noqa: ARG002  the answers are at hand
        attribute = self._job.request["LabelAttributeName"]
        for task in tasks:
            value, about = CONSOLIDATE[self._kind.work](task, self._categories)
            about = metadata(self._kind.type, self._job.name, **about)
            task.label = {attribute: value, f"{attribute}-metadata": about}


class Custom:
    """The account's own functions, invoked with the events that Ground Truth sends and the job's role."""

    def __init__(self, job: Job, kind: Kind, categories: list[str]) -> None:
        human = job.request["HumanTaskConfig"]
        self._job, self._kind, self._categories = job, kind, categories
        self._before: str = human["PreHumanTaskLambdaArn"]
        self._after: str = human["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"]
        self._lambda = job.state.client("lambda", **job.credentials)

    def prepare(self, line: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._invoke(
            self._before, {"version": _VERSION, "labelingJobArn": self._job.arn, "dataObject": line}, "Pre-annotation"
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("taskInput"), dict):
            raise FunctionFailed(f"Pre-annotation function {self._before} returned no taskInput: {_short(answer)}")
        # The schema names the flag isHumanAnnotationRequired, a boolean; AWS's sample function writes
        # humanAnnotationRequired, a string.
        needed = [answer.get(name, True) for name in ("isHumanAnnotationRequired", "humanAnnotationRequired")]
        return answer["taskInput"] if all(str(flag).lower() == "true" for flag in needed) else None

    def consolidate(self, tasks: list[Task], request_uri: str) -> None:
        event = {
            "version": _VERSION,
            "labelingJobArn": self._job.arn,
            "labelCategories": self._categories,
            "labelAttributeName": self._job.request["LabelAttributeName"],
            "roleArn": self._job.request["RoleArn"],
            "payload": {"s3Uri": request_uri},
        }
        try:
            answer = self._invoke(self._after, event, "Annotation consolidation")
            labels = {str(one["datasetObjectId"]): one["consolidatedAnnotation"]["content"] for one in answer}
        except FunctionFailed as error:
            reason, labels = str(error), {}
        except (TypeError, KeyError):
            reason, labels = f"Annotation consolidation function {self._after} returned {_short(answer)}", {}
        else:
            reason = f"Annotation consolidation function {self._after} returned no label for this object"
        for task in tasks:
            self._take(task, labels.get(str(task.index)), reason)

    def _take(self, task: Task, content: Any, reason: str) -> None:
        attribute = self._job.request["LabelAttributeName"]
        if not isinstance(content, dict) or attribute not in content:
            task.failure = f"ClientError: {reason}"
            return
        about = content.get(f"{attribute}-metadata", {})
        task.label = {**content, f"{attribute}-metadata": metadata(self._kind.type, self._job.name, **about)}

    def _invoke(self, function: str, event: dict[str, Any], what: str) -> Any:
        try:
            answer = self._lambda.invoke(FunctionName=function, Payload=json.dumps(event))
        except ClientError as error:
            raise FunctionFailed(f"{what} function {function}: {error.response['Error']['Message']}") from None
        body = json.loads(answer["Payload"].read() or "null")
        if "FunctionError" in answer:
            raise FunctionFailed(f"{what} function {function} failed: {_short(body)}")
        return body


def _short(answer: Any) -> str:
    return json.dumps(answer)[:300]
