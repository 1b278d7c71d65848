"""A function is handed a task token; whoever has it answers, in time or not."""

import io
import json
import time
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from tests.offline.bench import BUCKET, Bench, any_name, until

# Keeps the token that it is handed where the test finds it, as a function would that publishes work for people.
PUBLISH = f"""
import boto3

class NothingToPublish(Exception):
    pass

def handler(event, context):
    if not event["key"]:
        raise NothingToPublish("the batch is empty")
    boto3.client("s3").put_object(Bucket="{BUCKET}", Key=event["key"], Body=event["token"])
"""


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


@pytest.fixture(scope="module")
def function(bench: Bench) -> str:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("publish.py", PUBLISH)
    name = any_name("publish")
    bench.account.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Timeout=60,
        Role=bench.role,
        Handler="publish.handler",
        Code={"ZipFile": code.getvalue()},
    )
    return name


def wait(function: str, **state: Any) -> dict[str, Any]:
    """A task that publishes its token under $.key and waits to be answered."""
    payload = {"key.$": "$.key", "token.$": "$$.Task.Token"}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function, "Payload": payload},
        "End": True,
        **state,
    }


def published(bench: Bench, key: str) -> str:
    until(lambda: key in bench.keys(""), bool)
    return bench.get(f"s3://{BUCKET}/{key}").decode()


def start(bench: Bench, function: str, **state: Any) -> tuple[str, str]:
    """An execution that waits, and the token that it waits under."""
    key = any_name("token")
    execution = bench.start(bench.machine(Ask=wait(function, **state)), {"key": key})
    return execution, published(bench, key)


def refusal(bench: Bench, token: str, output: str = "{}") -> str:
    with pytest.raises(ClientError) as refused:
        bench.stepfunctions.send_task_success(taskToken=token, output=output)
    code: str = refused.value.response["Error"]["Code"]
    return code


def test_the_answer_becomes_the_tasks_result_and_a_second_one_comes_too_late(bench: Bench, function: str) -> None:
    execution, token = start(bench, function, TimeoutSeconds=60)

    bench.stepfunctions.send_task_success(taskToken=token, output='{"votes": 3}')

    assert bench.ended(execution)["output"] == {"votes": 3}
    assert refusal(bench, token) == "TaskTimedOut"


def test_every_item_of_a_map_waits_under_a_token_of_its_own(bench: Bench, function: str) -> None:
    keys = [any_name("token") for _ in range(3)]
    processor = {"StartAt": "Ask", "States": {"Ask": wait(function)}}
    each = {
        "Type": "Map",
        "ItemsPath": "$.keys",
        "ItemSelector": {"key.$": "$$.Map.Item.Value"},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **processor},
        "End": True,
    }
    execution = bench.start(bench.machine(Each=each), {"keys": keys})
    tokens = [published(bench, key) for key in keys]

    for number, token in reversed(list(enumerate(tokens))):
        bench.stepfunctions.send_task_success(taskToken=token, output=json.dumps(number))

    assert bench.ended(execution)["output"] == [0, 1, 2]


def test_a_refused_task_keeps_error_and_cause_and_can_be_caught(bench: Bench, function: str) -> None:
    catch = [{"ErrorEquals": ["Abandoned"], "Next": "Collect", "ResultPath": "$.caught"}]
    key = any_name("token")
    ask = {**wait(function), "Catch": catch}
    execution = bench.start(bench.machine(Ask=ask, Collect={"Type": "Pass", "End": True}), {"key": key})

    bench.stepfunctions.send_task_failure(taskToken=published(bench, key), error="Abandoned", cause="nobody has time")

    assert bench.ended(execution)["output"]["caught"] == {"Error": "Abandoned", "Cause": "nobody has time"}


def test_a_token_that_nobody_answers_in_time_expires(bench: Bench, function: str) -> None:
    execution, token = start(bench, function, TimeoutSeconds=1)

    ended = bench.ended(execution)

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert refusal(bench, token) == "TaskTimedOut"


def test_heartbeats_keep_a_task_waiting_and_their_absence_ends_it(bench: Bench, function: str) -> None:
    execution, token = start(bench, function, TimeoutSeconds=60, HeartbeatSeconds=4)
    for _ in range(3):
        time.sleep(1.5)
        bench.stepfunctions.send_task_heartbeat(taskToken=token)
    assert bench.stepfunctions.describe_execution(executionArn=execution)["status"] == "RUNNING"

    assert bench.ended(execution)["error"] == "States.Timeout"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        bench.stepfunctions.send_task_heartbeat(taskToken=token)


def test_a_heartbeat_that_nobody_waits_for_does_nothing(bench: Bench, function: str) -> None:
    execution, token = start(bench, function)

    bench.stepfunctions.send_task_heartbeat(taskToken=token)
    bench.stepfunctions.send_task_success(taskToken=token, output="1")

    assert bench.ended(execution)["output"] == 1


def test_the_token_of_a_stopped_execution_is_closed_and_stays_so_when_it_is_redriven(
    bench: Bench, function: str
) -> None:
    execution, token = start(bench, function)
    bench.stepfunctions.stop_execution(executionArn=execution)
    assert refusal(bench, token) == "TaskTimedOut"

    bench.stepfunctions.redrive_execution(executionArn=execution)

    key = json.loads(bench.stepfunctions.describe_execution(executionArn=execution)["input"])["key"]
    another = until(lambda: published(bench, key), lambda found: found != token)
    assert refusal(bench, token) == "TaskTimedOut"
    bench.stepfunctions.send_task_success(taskToken=another, output='"done"')
    assert bench.ended(execution)["output"] == "done"


def test_a_token_that_was_never_given_out_is_invalid(bench: Bench) -> None:
    assert refusal(bench, "AQCEAAAAKgAAAAMAAAAA") == "InvalidToken"


def test_an_answer_that_is_no_json_is_refused_and_the_task_goes_on_waiting(bench: Bench, function: str) -> None:
    execution, token = start(bench, function)

    assert refusal(bench, token, "not JSON") == "InvalidOutput"

    bench.stepfunctions.send_task_success(taskToken=token, output="{}")
    assert bench.ended(execution)["status"] == "SUCCEEDED"


def test_a_function_that_fails_fails_the_task_at_once(bench: Bench, function: str) -> None:
    ended = bench.execute(bench.machine(Ask=wait(function, TimeoutSeconds=60)), {"key": ""})

    assert ended["error"] == "NothingToPublish"
    assert "the batch is empty" in ended["cause"]
