"""Why there is no container: what ExplainBuild makes of a build that ended otherwise than well."""

import json
from typing import Any

import pytest

from jobs import audit
from reefloop.jobs import explain

LOGS = {"GroupName": "reefloop-jobs-ImageBuildLogs", "StreamName": "1f2e"}


def event(error: str, cause: str, *, before: int = 0, now: int = 0) -> explain.Event:
    return {"error": {"Error": error, "Cause": cause}, "plan": {"redrives": before}, "redrives": now}


def failed(**build: Any) -> explain.Event:
    """What Step Functions has of a build that failed."""
    return event("States.TaskFailed", json.dumps({"Build": {"BuildStatus": "FAILED", "Logs": LOGS, **build}}))


def phase(name: str, status: str, *messages: str) -> dict[str, Any]:
    contexts = [{"StatusCode": "COMMAND_EXECUTION_ERROR", "Message": message} for message in messages]
    return {"PhaseType": name, "PhaseStatus": status, "Contexts": contexts}


def test_an_image_that_the_audit_refused_is_told_in_the_audits_words() -> None:
    summary = "the image has a library of the NVIDIA driver: usr/lib/libcuda.so.1. To do: install the toolkit only"
    variables = [{"Name": "BASE_DIGEST", "Value": "sha256:0"}, {"Name": "AUDIT", "Value": summary}]

    with pytest.raises(explain.ImageRefused) as raised:
        explain.handler(failed(ExportedEnvironmentVariables=variables), None)

    assert str(raised.value) == f"the image of the jobs was built and not pushed. {summary}"


def test_a_clean_image_whose_push_failed_was_not_refused() -> None:
    said = 'Error while executing command: docker push "$IMAGE_URI". Reason: exit status 1'
    variables = [{"Name": "AUDIT", "Value": f"{audit.CLEAN}nothing found in 9 files"}]
    phases = [phase("PRE_BUILD", "SUCCEEDED"), phase("BUILD", "FAILED", said), phase("POST_BUILD", "SUCCEEDED")]

    with pytest.raises(explain.BuildFailed) as raised:
        explain.handler(failed(ExportedEnvironmentVariables=variables, Phases=phases), None)

    assert str(raised.value) == (
        f"the build of the jobs' container failed in its phase BUILD (FAILED): {said}; its log in CloudWatch has more: "
        "reefloop-jobs-ImageBuildLogs 1f2e"
    )


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ({"Phases": [phase("QUEUED", "TIMED_OUT")]}, "failed in its phase QUEUED (TIMED_OUT); its log"),
        ({"BuildStatus": "STOPPED", "Phases": [phase("BUILD", "STOPPED")]}, "failed in its phase BUILD (STOPPED);"),
        ({"BuildStatus": "FAULT"}, "failed (FAULT); its log"),
        ({"BuildStatus": "FAILED", "Logs": None}, "the build of the jobs' container failed (FAILED)"),
    ],
)
def test_a_build_that_ended_otherwise_is_told_with_its_phase_and_log(build: dict[str, Any], said: str) -> None:
    with pytest.raises(explain.BuildFailed, match="jobs' container") as raised:
        explain.handler(failed(**build), None)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    "error", ["CodeBuild.AccountLimitExceededException", "CodeBuild.AWSCodeBuildException"], ids=["declared", "not"]
)
def test_an_account_that_may_not_build_is_led_to_its_quota(error: str) -> None:
    cause = "Cannot have more than 0 builds in queue for the account (Service: AWSCodeBuild; Status Code: 400)"

    with pytest.raises(explain.BuildsNotAllowed) as raised:
        explain.handler(event(error, cause), None)

    assert cause in str(raised.value)
    assert "1 'Concurrently running builds for Linux/Medium environment'" in str(raised.value)


@pytest.mark.parametrize("cause", ["Rate exceeded", "[]", '{"Build": null}', '{"Other": {}}'])
def test_what_is_no_build_is_told_as_it_is(cause: str) -> None:
    with pytest.raises(explain.BuildFailed, match=r"did not start: CodeBuild\.AWSCodeBuildException: "):
        explain.handler(event("CodeBuild.AWSCodeBuildException", cause), None)


def test_a_redriven_execution_builds_again_once() -> None:
    assert explain.handler(event("States.TaskFailed", "{}", before=0, now=1), None) == {}
    with pytest.raises(explain.BuildFailed):
        explain.handler(event("States.TaskFailed", "{}", before=1, now=1), None)
