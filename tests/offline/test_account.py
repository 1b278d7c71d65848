"""Accounts open empty, forget everything, do not know of each other, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
import pytest

from offline.account import Account

ROOT = Path(__file__).parents[2]


def _open_process(folder: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """`python -m offline` and the variables that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "offline", "--folder", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    variables = {}
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("#"):
            return process, variables
        name, _, value = line.removeprefix("export ").strip().partition("=")
        variables[name] = value
    raise AssertionError("the account ended before it was open")


def _in_session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    left = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(fields[3]) == leader and fields[0] != "Z":
            left.append(int(entry.name))
    return left


def test_it_listens_on_the_loopback_interface_under_the_name_localhost(account: Account) -> None:
    assert account.endpoint.startswith("http://localhost:")


def test_its_environment_leads_a_child_process_to_it(account: Account) -> None:
    account.client("s3").create_bucket(Bucket="seen-from-a-child")
    code = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **account.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "seen-from-a-child" in printed


def test_a_second_account_in_the_same_process_is_refused(account: Account, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="already has an open account"):
        Account(tmp_path).start()
    assert account.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_accounts_in_two_processes_do_not_collide_and_end_at_a_signal(tmp_path: Path) -> None:
    first, its_variables = _open_process(tmp_path / "first")
    second, other_variables = _open_process(tmp_path / "second")
    try:
        assert its_variables["AWS_ENDPOINT_URL"] != other_variables["AWS_ENDPOINT_URL"]
        s3 = boto3.client(
            "s3",
            endpoint_url=its_variables["AWS_ENDPOINT_URL"],
            region_name=its_variables["AWS_REGION"],
            aws_access_key_id=its_variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=its_variables["AWS_SECRET_ACCESS_KEY"],
        )
        s3.create_bucket(Bucket="only-here")
        with urllib.request.urlopen(other_variables["AWS_ENDPOINT_URL"]) as answer:
            assert b"only-here" not in answer.read()
    finally:
        first.send_signal(signal.SIGINT)
        second.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=60) for process in (first, second)]
    assert codes == [0, 0]
    assert _in_session(first.pid) == _in_session(second.pid) == []


_INTERRUPTED = """
import io, os, signal, sys, zipfile
from pathlib import Path
from offline.account import Account
from tests.offline.roles import make_role

# A shell starts what runs in the background with interrupts switched off.
signal.signal(signal.SIGINT, signal.default_int_handler)
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("index.py", "def handler(event, context): return event")
with Account(Path(sys.argv[1])) as account:
    account.client("lambda").create_function(
        FunctionName="warm", Runtime="python3.13", Handler="index.handler",
        Role=make_role(account, "role"),
        Code={"ZipFile": packed.getvalue()},
    )
    account.client("lambda").invoke(FunctionName="warm")
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_an_interrupt_ends_the_workers_of_functions_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, str(tmp_path / "account")],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    _, printed = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in printed
    workers = [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _text(entry)]
    assert workers == []


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended meanwhile
        return b""


_TWICE = """
import json, sys
from pathlib import Path
from offline.account import Account

seen = []
for name in ("first", "second"):
    with Account(Path(sys.argv[1]) / name) as account:
        seen.append(len(account.client("s3").list_buckets()["Buckets"]))
        seen.append(len(account.client("cloudformation").describe_stacks()["Stacks"]))
        account.client("s3").create_bucket(Bucket="kept-in-memory")
        body = json.dumps({"Resources": {"Topic": {"Type": "AWS::Logs::LogGroup"}}})
        account.client("cloudformation").create_stack(StackName="stack", TemplateBody=body)
print(json.dumps(seen))
"""


def test_one_account_after_another_in_one_process_knows_nothing_of_the_first(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", _TWICE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(printed) == [0, 0, 0, 0]
