"""`watch`: follow a round, or the compilation of a model from elsewhere, until it ends."""

import argparse
from typing import Final

from botocore.exceptions import ClientError

from console import outcomes
from console.clients import Clients, clients, load_settings
from console.devices import DeviceReader
from console.errors import Refusal
from console.executions import Execution, Follower, check_round, demand_loop, execution_arn
from console.following import follow, keep_last, require_success
from console.project import Project
from console.screen import Screen, device_rows
from reefloop.contracts import COMPILATION, MODEL_VERSION, PACKAGES

_RECOUNT_SECONDS: Final = 60.0


def run(options: argparse.Namespace) -> int:
    settings = load_settings(options.stage)
    demand_loop(settings)
    account = clients(settings.region)
    project = Project.find(account)
    arn = _of_model(account, project, options.model) if options.model else _find(account, project, options.round_)
    devices = DeviceReader(account, project, recount_seconds=_RECOUNT_SECONDS)
    beside = keep_last("devices", lambda: device_rows(devices.read()))
    execution = follow(Follower(account, project), arn, beside=beside)
    for one in execution.walk():
        if one.stage == COMPILATION:
            outcomes.show(Screen(), one.output.get(PACKAGES) or _left_behind(account, project, one))
    require_success(execution)
    return 0


def _left_behind(account: Clients, project: Project, execution: Execution) -> list[outcomes.Document]:
    """What targets got in a stage that failed for want of compiled ones: it has no output."""
    if not (version := execution.input.get(MODEL_VERSION)):
        return []
    return outcomes.read(account, project.data_bucket, version, since=execution.started)


def _find(account: Clients, project: Project, round_: str | None) -> str:
    """The execution of a round, or the one that was started last."""
    sfn = account("stepfunctions")
    if round_ is None:
        found = sfn.list_executions(stateMachineArn=project.loop_machine, maxResults=1)["executions"]
        if not found:
            raise Refusal("no round was ever started: `python -m console start --round 1 …`")
        return str(found[0]["executionArn"])
    arn = execution_arn(project.loop_machine, check_round(round_))
    try:
        sfn.describe_execution(executionArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        raise Refusal(f"round {round_} was never started: `python -m console start --round {round_} …`") from error
    return arn


def _of_model(account: Clients, project: Project, version: str) -> str:
    """The compilation of a model from elsewhere that was started last: they come newest first."""
    machine = project.output(COMPILATION, "Machine")
    pages = account("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine)
    for execution in (execution for page in pages for execution in page["executions"]):
        if execution["name"].startswith(f"{version}-"):
            return str(execution["executionArn"])
    raise Refusal(f"no compilation of {version!r} was ever started: `python -m console compile --model …`")
