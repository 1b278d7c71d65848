"""A round is started once, followed through its nested executions and jobs, and its failure is explained."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from console import executions
from console.errors import Refusal
from console.executions import Execution, Follower, execution_arn, reasons, start_round
from console.jobs import Job
from console.project import Project
from console.screen import execution_rows
from offline.account import Account
from tests.any import any_round
from tests.offline.bench import until
from tests.offline.roles import make_role

ROLE = "arn:aws:iam::123456789012:role/machine"
PASS = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}


def machine(account: Account, definition: object) -> str:
    sfn, name = account.client("stepfunctions"), any_round()
    return str(
        sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role(account))["stateMachineArn"]
    )


def role(account: Account) -> str:
    return make_role(account, any_round(), services=["states"])


def ended(account: Account, project: Project, arn: str) -> Execution:
    follower = Follower(account.client, project)
    execution: Execution = until(lambda: follower.read(arn), lambda seen: seen.status != "RUNNING")
    return execution


def calls(arn: str) -> dict[str, object]:
    """A machine that runs another one and waits for it."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": arn},
        "End": True,
    }
    return {"StartAt": "Labeling", "States": {"Labeling": task}}


def test_a_round_starts_once(account: Account) -> None:
    project = Project({"loop": {"Machine": machine(account, PASS)}})
    arn = start_round(account.client, project, "1")
    assert arn == execution_arn(project.loop_machine, "1")
    ended(account, project, arn)
    with pytest.raises(Refusal, match="round 1 has run already: choose another name"):
        start_round(account.client, project, "1")


def test_a_round_that_failed_goes_on_when_it_is_started_again(account: Account) -> None:
    missing = f"{machine(account, PASS)}-that-is-not-there"
    project = Project({"loop": {"Machine": machine(account, calls(missing))}})
    arn = start_round(account.client, project, "1")
    assert ended(account, project, arn).status == "FAILED"
    assert start_round(account.client, project, "1") == arn
    assert ended(account, project, arn).status == "FAILED"
    assert account.client("stepfunctions").describe_execution(executionArn=arn)["redriveCount"] == 1


def test_nested_executions_are_followed_with_their_stage(account: Account) -> None:
    labeling = machine(account, PASS)
    project = Project({"loop": {"Machine": machine(account, calls(labeling))}, "labeling": {"Machine": labeling}})
    execution = ended(account, project, start_round(account.client, project, "1"))
    assert [(each.stage, each.status) for each in execution.walk()] == [
        ("loop", "SUCCEEDED"),
        ("labeling", "SUCCEEDED"),
    ]


class History:
    """A history that grows, given in pages of what is newest; `given` are the events of all pages so far."""

    def __init__(self) -> None:
        self.length = 0
        self.given: list[int] = []

    def get_paginator(self, _: str) -> "History":
        return self

    def paginate(self, *, reverseOrder: bool, PaginationConfig: dict[str, int], **_: str) -> Iterator[object]:
        assert reverseOrder
        # Step Functions may give less than a page holds, and nothing at all.
        yield {"events": []}
        size = PaginationConfig["PageSize"]
        for newest in range(self.length, 0, -size):
            page = list(range(newest, max(newest - size, 0), -1))
            self.given += page
            yield {"events": [{"id": id_} for id_ in page]}


def test_only_what_came_since_the_last_look_is_asked_for_however_much_it_is() -> None:
    history = History()
    follower = Follower(lambda _: history, Project({}))
    for news in (3, 0, 1, executions._NEWS, executions._NEWS + 1, 10 * executions._NEWS, 2 * executions._PAGE):
        history.length, history.given = history.length + news, []
        assert [event["id"] for event in follower.events("any")] == list(range(1, history.length + 1))
        assert len(history.given) <= news + executions._NEWS


def test_an_execution_that_goes_on_between_two_looks_is_known_whole(account: Account) -> None:
    many = {f"Step{n}": {"Type": "Pass", "Next": f"Step{n + 1}"} for n in range(20)}
    wait = {"Type": "Wait", "Seconds": 1, "Next": "Step0"}
    last = {"Type": "Wait", "Seconds": 60, "End": True}
    states = {"Wait": wait, **many, "Step20": {"Type": "Pass", "Next": "Last"}, "Last": last}
    project = Project({"loop": {"Machine": machine(account, {"StartAt": "Wait", "States": states})}})
    arn = start_round(account.client, project, "1")
    follower = Follower(account.client, project)
    seen = until(lambda: follower.read(arn), lambda execution: "Last" in execution.states)
    assert seen.states == {"Last": 1}
    assert [event["id"] for event in follower.events(arn)] == list(range(1, 2 * 23 + 1))
    account.client("stepfunctions").stop_execution(executionArn=arn)


def test_the_innermost_cause_of_a_failure_is_told(account: Account) -> None:
    fail = {"Type": "Fail", "Error": "NoGold", "Cause": json.dumps({"errorMessage": "gold/gold.manifest is missing"})}
    labeling = machine(account, {"StartAt": "Fail", "States": {"Fail": fail}})
    project = Project({"loop": {"Machine": machine(account, calls(labeling))}, "labeling": {"Machine": labeling}})
    execution = ended(account, project, start_round(account.client, project, "1"))
    assert execution.status == "FAILED"
    assert reasons(execution) == ["labeling failed: NoGold gold/gold.manifest is missing"]


def test_a_running_execution_shows_the_state_it_is_in(account: Account) -> None:
    wait = {"StartAt": "Label", "States": {"Label": {"Type": "Wait", "Seconds": 60, "End": True}}}
    project = Project({"loop": {"Machine": machine(account, wait)}})
    arn = start_round(account.client, project, "1")
    try:
        deadline = time.monotonic() + 60
        while not (execution := Follower(account.client, project).read(arn)).states and time.monotonic() < deadline:
            time.sleep(0.05)
        (row,) = execution_rows(execution)
        assert (row.what, row.status, row.detail) == ("loop round-1", "RUNNING", "Label")
    finally:
        account.client("stepfunctions").stop_execution(executionArn=arn)


def test_a_model_that_waits_for_a_person_says_where_to_decide(account: Account) -> None:
    package = "arn:aws:sagemaker:us-east-1:123456789012:model-package/reefloop/7"
    verdict = {"Type": "Pass", "Result": {"verdict": {"model_package_arn": package}}, "Next": "AwaitApproval"}
    wait = {"Type": "Wait", "Seconds": 60, "End": True}
    training = machine(account, {"StartAt": "Register", "States": {"Register": verdict, "AwaitApproval": wait}})
    project = Project({"loop": {"Machine": training}})
    arn = start_round(account.client, project, "1")
    try:
        deadline = time.monotonic() + 60
        while not (execution := Follower(account.client, project).read(arn)).asks and time.monotonic() < deadline:
            time.sleep(0.05)
        _, row = execution_rows(execution)
        assert (row.what.strip(), row.status) == ("your decision", "WAITING")
        assert "Models, Registered models, reefloop, version 7, Deploy" in row.detail
        assert f"--model-package-arn {package} --model-approval-status Approved" in row.detail
    finally:
        account.client("stepfunctions").stop_execution(executionArn=arn)


def job(name: str, reason: str) -> Job:
    return Job("compilation", name, "FAILED", reason, "", f"log of {name}")


def execution(
    stage: str, status: str, cause: str = "", *, jobs: tuple[Job, ...] = (), children: tuple[Execution, ...] = ()
) -> Execution:
    return Execution(
        arn=f"arn:aws:states:us-east-1:123456789012:execution:{stage}:1",
        stage=stage,
        status=status,
        started=datetime.now(UTC),
        stopped=None,
        states={},
        output={},
        error="SomeError" if cause else "",
        cause=cause,
        jobs=jobs,
        children=children,
    )


def test_a_job_that_its_stage_did_without_is_not_the_reason() -> None:
    compilation = execution("compilation", "SUCCEEDED", jobs=(job("a", "Neo cannot"),))
    deployment = execution("deployment", "FAILED", "the canary failed")
    assert reasons(execution("loop", "FAILED", children=(compilation, deployment))) == [
        "deployment failed: SomeError the canary failed"
    ]


def test_the_job_that_the_execution_names_is_the_reason() -> None:
    cause = json.dumps({"TrainingJobName": "b", "FailureReason": "AlgorithmError: no gold"})
    failed = execution("training", "FAILED", cause, jobs=(job("a", "other"), job("b", "AlgorithmError: no gold")))
    assert reasons(failed) == ["compilation job b failed: AlgorithmError: no gold (log: log of b)"]


def test_of_many_failed_jobs_a_few_are_told() -> None:
    many = tuple(job(str(number), "Neo cannot") for number in range(7))
    told = reasons(execution("compilation", "FAILED", "fewer than 1 of 7 targets", jobs=many))
    assert told[0] == "compilation failed: SomeError fewer than 1 of 7 targets"
    assert len(told) == 4
