"""Deployed functions run from their own zip, in their own environment, as their own role."""

import base64
import io
import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from tests.offline.bench import until
from tests.offline.roles import make_role

SOURCE = """
import json, os, time
import boto3

class TooFewTargets(Exception): pass

def environment(event, context): return dict(os.environ)
def process(event, context):
    time.sleep(event.get("seconds", 0))
    return os.getpid()
def fails(event, context): raise TooFewTargets("1 target compiled, 2 are needed")
def exits(event, context): os._exit(3)
def answers_with_a_set(event, context): return {1, 2}
def answers_too_much(event, context): return "x" * (7 * 1024 * 1024)
def caller(event, context): return boto3.client("sts").get_caller_identity()["Arn"]
def about(event, context):
    print("the handler speaks")
    return [context.function_name, context.invoked_function_arn, context.get_remaining_time_in_millis()]
"""

Deploy = Callable[..., str]


def _zip(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return packed.getvalue()


@pytest.fixture
def deploy(account: Account, request: pytest.FixtureRequest) -> Deploy:
    """Deploys one handler of SOURCE, or of other source, under the test's own name; returns that name."""

    def deployed(handler: str, *, source: str = SOURCE, **settings: Any) -> str:
        name = f"{request.node.originalname}-{handler.replace('.', '-')}"[-64:]
        account.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler=f"code.{handler}" if "." not in handler else handler,
            Role=make_role(account, name, services=["lambda"]),
            Code={"ZipFile": _zip(code=source)},
            **{"Timeout": 60, **settings},
        )
        return name

    return deployed


def _invoke(account: Account, name: str, event: Any = None, **options: Any) -> tuple[Any, str | None]:
    answer = account.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), **options)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_a_function_sees_its_deployed_variables_and_nothing_of_this_machine(
    account: Account, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_LAPTOP", "seen")
    name = deploy("environment", Environment={"Variables": {"BUCKET": "data"}})
    seen, _ = _invoke(account, name)
    assert seen["BUCKET"] == "data"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert "SECRET_OF_THE_LAPTOP" not in seen
    assert "HOME" not in seen


def test_a_function_calls_as_its_role(account: Account, deploy: Deploy) -> None:
    name = deploy("caller")
    assert _invoke(account, name)[0] == f"arn:aws:sts::123456789012:assumed-role/{name}/{name}"


def test_a_package_that_lambda_does_not_have_cannot_be_imported(account: Account, deploy: Deploy) -> None:
    name = deploy("handler", source="import pytest\ndef handler(event, context): return 1")
    error, kind = _invoke(account, name)
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert error["errorMessage"] == "Unable to import module 'code': No module named 'pytest'"


def test_a_process_is_kept_warm_and_shared_by_later_events(account: Account, deploy: Deploy) -> None:
    name = deploy("process")
    assert len({_invoke(account, name)[0] for _ in range(3)}) == 1


def test_events_at_the_same_time_have_processes_of_their_own(account: Account, deploy: Deploy) -> None:
    name = deploy("process")
    with ThreadPoolExecutor(3) as pool:
        seen = list(pool.map(lambda _: _invoke(account, name, {"seconds": 1})[0], range(3)))
    assert len(set(seen)) == 3


def test_reserved_concurrency_bounds_the_events_at_the_same_time(account: Account, deploy: Deploy) -> None:
    name = deploy("process")
    account.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        _invoke(account, name)


def test_new_code_replaces_the_warm_process(account: Account, deploy: Deploy) -> None:
    name = deploy("handler", source="def handler(event, context): return 'old'")
    assert _invoke(account, name)[0] == "old"
    new = _zip(code="def handler(event, context): return 'new'")
    account.client("lambda").update_function_code(FunctionName=name, ZipFile=new)
    assert _invoke(account, name)[0] == "new"


def test_an_error_of_the_handler_has_its_own_type(account: Account, deploy: Deploy) -> None:
    error, kind = _invoke(account, deploy("fails"))
    assert (kind, error["errorType"]) == ("Unhandled", "TooFewTargets")
    assert error["errorMessage"] == "1 target compiled, 2 are needed"
    assert "in fails" in "".join(error["stackTrace"])


def test_a_function_that_takes_too_long_is_ended_and_the_next_event_gets_a_new_process(
    account: Account, deploy: Deploy
) -> None:
    name, configure = deploy("process"), account.client("lambda").update_function_configuration
    before, kind = _invoke(account, name)
    assert kind is None
    configure(FunctionName=name, Timeout=1)
    error, kind = _invoke(account, name, {"seconds": 600})
    assert (kind, error["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "timed out after 1.00 seconds" in error["errorMessage"]
    configure(FunctionName=name, Timeout=60)
    after, kind = _invoke(account, name)
    assert kind is None
    assert after != before


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("exits", "Runtime.ExitError"),
        ("answers_with_a_set", "Runtime.MarshalError"),
        ("answers_too_much", "Function.ResponseSizeTooLarge"),
        ("absent", "Runtime.HandlerNotFound"),
        ("nowhere.handler", "Runtime.ImportModuleError"),
    ],
)
def test_what_a_runtime_refuses_is_an_error_of_the_runtime(
    account: Account, deploy: Deploy, handler: str, kind: str
) -> None:
    error, unhandled = _invoke(account, deploy(handler))
    assert (unhandled, error["errorType"]) == ("Unhandled", kind)


def test_the_context_and_the_log_are_those_of_the_function(account: Account, deploy: Deploy) -> None:
    name = deploy("about", Timeout=20)
    answer = account.client("lambda").invoke(FunctionName=name, LogType="Tail")
    its_name, arn, left = json.loads(answer["Payload"].read())
    assert its_name == name
    assert arn == f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    assert 0 < left <= 20_000
    assert base64.b64decode(answer["LogResult"]) == b"the handler speaks\n"


def test_an_asynchronous_event_is_accepted_and_run(account: Account, deploy: Deploy) -> None:
    source = (
        "import boto3\ndef handler(event, context): boto3.client('logs').create_log_group(logGroupName=event['name'])"
    )
    name = deploy("handler", source=source)
    answer = account.client("lambda").invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps({"name": "made-by-an-event"})
    )
    assert answer["StatusCode"] == 202
    logs = account.client("logs")
    until(lambda: logs.describe_log_groups(logGroupNamePrefix="made-by-an-event")["logGroups"], bool)


def test_asynchronous_events_wait_while_their_function_is_throttled(account: Account, deploy: Deploy) -> None:
    source = (
        "import boto3\ndef handler(event, context): boto3.client('logs').create_log_group(logGroupName=event['name'])"
    )
    name = deploy("handler", source=source)
    account.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    for number in range(5):
        event = json.dumps({"name": f"throttled-{number}"})
        account.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=event)
    logs = account.client("logs")
    groups = until(
        lambda: logs.describe_log_groups(logGroupNamePrefix="throttled-")["logGroups"], lambda groups: len(groups) == 5
    )
    assert [group["logGroupName"] for group in groups] == [f"throttled-{number}" for number in range(5)]


def test_a_function_that_does_not_exist_and_a_body_that_is_no_json_are_refused(
    account: Account, deploy: Deploy
) -> None:
    with pytest.raises(ClientError, match="Function not found"):
        _invoke(account, "nobody")
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        account.client("lambda").invoke(FunctionName=deploy("process"), Payload=b"{")
