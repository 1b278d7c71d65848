"""A permission that a stack does not give is missed: the stage that needs it fails."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from offline.account import Account
from offline.crew import Crew
from tests.any import any_round
from tests.workflow.deployed import Deployed, synthesize


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("permissions")
    truth: dict[str, str] = {}
    with Account(folder / "account", crew=Crew(truth=truth)) as account:
        loop = Deployed(account, truth, folder)
        account.bootstrap()
        loop.deploy(synthesize(folder / "assembly"))
        loop.run("jobs", {}, "image")
        loop.bring_gold(per_class=1)
        yield loop


@contextmanager
def without(loop: Deployed, role_part: str, action: str) -> Iterator[None]:
    """Take an action out of the policy of the one labeling role that has this in its name."""
    iam = loop.client("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    (role,) = (name for name in names if name.startswith(f"reefloop-labeling-{role_part}"))
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    statements = [_less(statement, action) for statement in document["Statement"]]
    assert statements != document["Statement"]
    less = {**document, "Statement": [one for one in statements if one["Action"]]}
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(less))
    yield
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


def _less(statement: dict[str, Any], action: str) -> dict[str, Any]:
    given = statement["Action"]
    return {**statement, "Action": [one for one in ([given] if isinstance(given, str) else given) if one != action]}


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("MachineRole", "lambda:InvokeFunction"),
        ("MachineRole", "sagemaker:CreateProcessingJob"),
        ("MachineRole", "iam:PassRole"),
        ("ListPoolFunctionRole", "s3:PutObject"),
        ("JobRole", "s3:GetObject"),
        ("JobRole", "s3:PutObject"),
    ],
)
def test_labeling_fails_for_want_of_a_permission(deployed: Deployed, role: str, action: str) -> None:
    name = any_round()
    deployed.upload(per_class=1)
    with without(deployed, role, action):
        execution = deployed.run("labeling", {"round": name}, name)
    assert execution["status"] == "FAILED"
    assert f"is not authorized to perform: {action} on resource: " in f"{execution['error']} {execution['cause']}"
