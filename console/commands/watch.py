"""`watch`: follow a round until it ends."""

import argparse
import time
from typing import Final

from botocore.exceptions import ClientError

from console.clients import Clients, clients, load_settings
from console.devices import DeviceReader
from console.errors import Failure, Refusal
from console.executions import RUNNING, SUCCEEDED, Follower, check_round, execution_arn, reasons
from console.project import Project
from console.screen import Screen, device_rows, execution_rows

_PAUSE_SECONDS: Final = 5.0


def run(options: argparse.Namespace) -> int:
    account = clients(load_settings(options.stage).region)
    project = Project.find(account)
    arn = _find(account, project, options.round_)
    follower, devices = Follower(account, project), DeviceReader(account, project)
    with Screen() as screen:
        while True:
            execution = follower.read(arn)
            screen.show([*execution_rows(execution), *device_rows(devices.read())])
            if execution.status != RUNNING:
                break
            time.sleep(_PAUSE_SECONDS)
    # The live picture went with the screen: leave the last one behind.
    for row in execution_rows(execution):
        print(row.line)
    if execution.status == SUCCEEDED:
        return 0
    raise Failure(f"{execution.name} {execution.status.lower()}: {'; '.join(reasons(execution))}")


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
