"""Starts a round of the loop and follows it: nested executions, the states they are in, the jobs they wait for."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from console import approvals
from console.clients import Clients
from console.errors import Refusal
from console.jobs import Job, describe_job, job_arns
from console.project import Project
from reefloop.contracts import ROUND
from settings import Settings

_ROUND: Final = re.compile(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,39}")
RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
_PAGE: Final = 1000  # events; as many as one call gives
_NEWS: Final = 25  # events that come between two looks, seldom more
_TOLD: Final = 3  # failed jobs that are told of; the others failed alike

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Execution:
    """One execution as it is now. `states` are those it is in, with how often at once (a Map is in many); `asks` is
    what a person has to do before it goes on, "" if nothing."""

    arn: str
    stage: str
    status: str
    started: datetime
    stopped: datetime | None
    states: Mapping[str, int]
    output: Mapping[str, Any]
    input: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    cause: str = ""
    asks: str = ""
    jobs: tuple[Job, ...] = ()
    children: tuple["Execution", ...] = ()

    @property
    def name(self) -> str:
        return self.arn.rsplit(":", 1)[1]

    def walk(self) -> Iterator["Execution"]:
        """This execution and every one below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def check_round(round_: str) -> str:
    """The round's name, if it can be part of keys, of execution names and of job names.

    Raises:
        Refusal: it cannot.
    """
    if not _ROUND.fullmatch(round_):
        raise Refusal(f"round {round_!r} is not a name: up to 40 letters and digits, single hyphens between them")
    return round_


def demand_loop(settings: Settings) -> None:
    """
    Raises:
        Refusal: the stage's task has no loop; says what it has.
    """
    if settings.task != "classification":
        raise Refusal(
            f"stage {settings.stage} has task {settings.task!r}: people label boxes, nothing trains on them yet, and "
            "there is no loop to start or to follow; start its labeling machine by itself, as docs/labeling.md says "
            "under Boxes"
        )


def execution_arn(machine_arn: str, round_: str) -> str:
    """The ARN of a round's execution: its name depends on the round alone, so that no round starts twice."""
    return f"{machine_arn.replace(':stateMachine:', ':execution:')}:round-{round_}"


def start_round(clients: Clients, project: Project, round_: str) -> str:
    """Start the loop for a round and return the execution's ARN.

    A round that runs already is left running. One that failed or was stopped goes on with the stage in which it did:
    the stage begins anew, and people are asked for what they have not answered yet.

    Raises:
        Refusal: the round has run to its end before, or cannot go on any more.
    """
    machine, sfn = project.loop_machine, clients("stepfunctions")
    arn = execution_arn(machine, check_round(round_))
    try:
        sfn.start_execution(stateMachineArn=machine, name=f"round-{round_}", input=json.dumps({ROUND: round_}))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        if (status := sfn.describe_execution(executionArn=arn)["status"]) == SUCCEEDED:
            raise Refusal(f"round {round_} has run already: choose another name") from error
        if status != RUNNING:
            _redrive(sfn, arn, round_)
    return arn


def _redrive(sfn: Any, arn: str, round_: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html"""
    try:
        sfn.redrive_execution(executionArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionNotRedrivable":
            raise
        raise Refusal(
            f"round {round_} did not succeed and cannot go on ({error.response['Error']['Message']}): choose another "
            "name; images that have a label already are not taken again, and those that were left over are"
        ) from error


@dataclass
class Follower:
    """Reads a tree of executions again and again; what has ended is read once."""

    clients: Clients
    project: Project
    _ended: dict[str, Execution] = field(default_factory=dict)
    _ended_jobs: dict[str, Job] = field(default_factory=dict)
    _histories: dict[str, dict[int, Event]] = field(default_factory=dict)

    def read(self, arn: str) -> Execution:
        """The execution and everything below it, now."""
        if arn in self._ended:
            return self._ended[arn]
        sfn = self.clients("stepfunctions")
        # Described before its history is read: an execution that ended in between is read once more.
        described = sfn.describe_execution(executionArn=arn)
        events = self.events(arn)
        submitted = [json.loads(text) for text in map(_task_output, events) if text]
        states = _current_states(events) if described["status"] == RUNNING else {}
        execution = Execution(
            arn=arn,
            stage=self._stage(described["stateMachineArn"]),
            status=described["status"],
            started=described["startDate"],
            stopped=described.get("stopDate"),
            states=states,
            output=json.loads(described.get("output") or "{}"),
            input=json.loads(described.get("input") or "{}"),
            error=described.get("error", ""),
            cause=described.get("cause", ""),
            asks=approvals.asked(events) if approvals.STATE in states else "",
            jobs=tuple(self._job(*job) for job in _jobs(submitted)),
            children=tuple(map(self.read, dict.fromkeys(_nested(submitted)))),
        )
        if execution.status != RUNNING:
            self._ended[arn] = execution
        return execution

    def events(self, arn: str) -> list[Event]:
        """An execution's history so far, the oldest event first; asked for is what came since the last time.

        Events are numbered from 1 on, without gaps:
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
        """
        known = self._histories.get(arn, {})
        last = max(known, default=0)
        pages = self.clients("stepfunctions").get_paginator("get_execution_history")
        paging = {"PageSize": _NEWS if known else _PAGE}
        found: dict[int, Event] = {}
        for page in pages.paginate(executionArn=arn, reverseOrder=True, PaginationConfig=paging):
            found |= {event["id"]: event for event in page["events"]}
            if found and min(found) <= last + 1:
                break
        self._histories[arn] = known | found
        return [event for _, event in sorted(self._histories[arn].items())]

    def _job(self, kind: str, arn: str) -> Job:
        if arn not in self._ended_jobs:
            job = describe_job(self.clients, kind, arn)
            if not job.ended:
                return job
            self._ended_jobs[arn] = job
        return self._ended_jobs[arn]

    def _stage(self, machine_arn: str) -> str:
        return next((stage for stage, arn in self.project.machines.items() if arn == machine_arn), "other")


def reasons(execution: Execution, *, log: Callable[[Job], str] = lambda job: job.log) -> list[str]:
    """Why an execution did not succeed: the innermost causes, a sentence each. `log` says where a job's log is."""
    if execution.status in (RUNNING, SUCCEEDED):
        return []
    if below := [reason for child in execution.children for reason in reasons(child, log=log)]:
        return below
    own = _sentence(execution.cause)
    jobs = [job for job in execution.jobs if job.failed]
    # A stage may go on without some of its jobs: only what the execution itself names ended it.
    blamed = [job for job in jobs if job.reason and job.reason in own]
    told = [
        f"{job.kind} job {job.name} {job.status.lower()}: {job.reason or 'no reason given'} (log: {log(job)})"
        for job in blamed or jobs
    ]
    said = [] if blamed else [f"{execution.stage} {execution.status.lower()}: {execution.error} {own}".strip()]
    return [*said, *told[:_TOLD]]


def _sentence(cause: str) -> str:
    """The human part of a cause: functions and jobs put JSON there."""
    try:
        document = json.loads(cause)
    except ValueError:
        return cause
    if not isinstance(document, dict):
        return cause
    keys = ("errorMessage", "FailureReason", "ExitMessage", "Cause")
    return next((_sentence(str(document[key])) for key in keys if document.get(key)), cause)


def _task_output(event: Event) -> str:
    """What a service answered when a task was handed to it: `.sync` tasks are submitted, the others succeed."""
    details = event.get("taskSubmittedEventDetails") or event.get("taskSucceededEventDetails") or {}
    return str(details.get("output", ""))


def _nested(answers: list[Any]) -> Iterator[str]:
    for answer in answers:
        if isinstance(answer, dict) and "ExecutionArn" in answer:
            yield answer["ExecutionArn"]


def _jobs(answers: list[Any]) -> list[tuple[str, str]]:
    """Each job once: a `.sync` task names its job when it is submitted and again when it succeeds."""
    return list(dict.fromkeys(job for answer in answers for job in job_arns(answer)))


def _current_states(events: list[Event]) -> dict[str, int]:
    def names(details: str) -> Counter[str]:
        return Counter(event[details]["name"] for event in events if details in event)

    return dict(names("stateEnteredEventDetails") - names("stateExitedEventDetails"))
