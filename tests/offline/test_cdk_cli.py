"""The real CDK CLI bootstraps, deploys, updates and fails in an offline account, as it does in AWS.

That it destroys as it should, the workflow tests say of the project's own stacks.
"""

import json
import time
from pathlib import Path

import pytest

from offline.account import Account
from offline.cdk import CdkError
from tests.offline.sample_app.app import Variant, synthesize

HANDLER = """
import os
import boto3

def handler(event, context):
    boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key="greeting.txt", Body=os.environ["GREETING"].encode())
    return os.environ["GREETING"]
"""


class Deployments:
    """The sample app in a bootstrapped account. Deploying what is deployed costs nothing."""

    def __init__(self, account: Account, assemblies: Path) -> None:
        self.account = account
        self._assemblies = assemblies
        self._present: Variant | None = None

    def deploy(self, variant: Variant, *options: str) -> None:
        if variant != self._present or options:
            self._present = None  # until it has come to its end
            self.account.cdk("deploy", "--all", f"--app={self._assemblies / variant}", *options)
            self._present = variant


@pytest.fixture(scope="module")
def deployments(account: Account) -> Deployments:
    code = account.state.folder / "code"
    code.mkdir()
    (code / "greeting.py").write_text(HANDLER)
    variants: tuple[Variant, ...] = ("first", "changed", "broken")
    for one in variants:
        synthesize(account.state.folder / one, code=code, variant=one)
    account.bootstrap()
    return Deployments(account, account.state.folder)


def _outputs(account: Account) -> dict[str, str]:
    stack = account.client("cloudformation").describe_stacks(StackName="sample-greeting")["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _greeting(account: Account) -> str:
    """What the deployed state machine answers, through the deployed function."""
    step_functions = account.client("stepfunctions")
    arn = step_functions.start_execution(stateMachineArn=_outputs(account)["MachineArn"], input="{}")["executionArn"]
    for _ in range(300):
        execution = step_functions.describe_execution(executionArn=arn)
        if execution["status"] != "RUNNING":
            break
        time.sleep(0.1)
    assert execution["status"] == "SUCCEEDED", execution
    return str(json.loads(execution["output"]))


def test_what_is_deployed_runs_and_a_change_set_changes_it_in_place(deployments: Deployments) -> None:
    deployments.deploy("first")
    before = _outputs(deployments.account)
    assert _greeting(deployments.account) == "hello"
    deployments.deploy("changed", "--method=change-set")
    assert _greeting(deployments.account) == "good morning"
    assert _outputs(deployments.account) == before


def test_a_deployment_of_an_unknown_type_fails_with_its_reason_within_seconds_and_is_taken_back(
    deployments: Deployments,
) -> None:
    deployments.deploy("first")
    began = time.monotonic()
    with pytest.raises(CdkError) as caught:
        deployments.deploy("broken")
    assert "the offline account has no resource type AWS::SQS::Queue" in str(caught.value)
    assert time.monotonic() - began < 120
    stacks = deployments.account.client("cloudformation").describe_stacks(StackName="sample-greeting")["Stacks"]
    assert stacks[0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert _greeting(deployments.account) == "hello"
