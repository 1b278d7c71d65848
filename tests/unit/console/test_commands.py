"""start, watch and destroy from the command line, against stacks that have what the commands look for and no more."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.cli import main
from offline.account import Account
from tests.any import any_round

Write = Callable[..., Path]

PASS = json.dumps({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}})
STORAGE = {
    "Resources": {"Data": {"Type": "AWS::S3::Bucket"}, "Artifacts": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"DataBucket": {"Value": {"Ref": "Data"}}, "ArtifactBucket": {"Value": {"Ref": "Artifacts"}}},
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
LOOP = {
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Loop": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionString": PASS, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}},
        },
    },
    "Outputs": {"Machine": {"Value": {"Ref": "Loop"}}},
}


@pytest.fixture
def environment(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to the account, as a person exports it."""
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def deployed(account: Account, environment: None) -> Iterator[str]:
    """The two stacks that every command asks; returns the data bucket."""
    cloudformation = account.client("cloudformation")
    for name, template in (("storage", STORAGE), ("loop", LOOP)):
        cloudformation.create_stack(
            StackName=f"reefloop-{name}", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
        )
    (stack,) = cloudformation.describe_stacks(StackName="reefloop-storage")["Stacks"]
    yield next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "DataBucket")
    main(["destroy", "--stage", "laptop"])
    for name in ("loop", "storage"):
        cloudformation.delete_stack(StackName=f"reefloop-{name}")


def keys(account: Account, bucket: str) -> list[str]:
    return [item["Key"] for item in account.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def bring_gold(write: Write, folder: Path) -> None:
    for label in ("crab", "squid"):
        write(folder / label / "1.png")
    assert main(["start", "--stage", "laptop", "--round", any_round(), "--gold", str(folder)]) == 0


@pytest.mark.usefixtures("environment")
def test_without_stacks_there_is_nothing_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--stage", "laptop", "--round", "1"]) == 1
    assert "no reefloop stack is deployed in this account and region" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_without_stacks_there_is_nothing_to_destroy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["destroy", "--stage", "laptop"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_a_first_round_needs_gold(deployed: str, any_photo: Write, capsys: pytest.CaptureFixture[str]) -> None:
    photo = any_photo("images/1.png")
    assert main(["start", "--stage", "laptop", "--round", any_round(), "--images", str(photo.parent)]) == 2
    assert "the bucket has no gold yet" in capsys.readouterr().err


def test_start_brings_images_and_starts_the_round(
    account: Account, deployed: str, any_photo: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring_gold(any_photo, tmp_path / "gold")
    any_photo("images/deep/er/1.png")
    (tmp_path / "images" / "broken.jpg").write_bytes(b"")
    round_ = any_round()
    assert main(["start", "--stage", "laptop", "--round", round_, "--images", str(tmp_path / "images")]) == 0
    said = capsys.readouterr().out
    assert f"skipped {tmp_path}/images/broken.jpg: " in said
    assert f":round-{round_}\n" in said
    assert len([key for key in keys(account, deployed) if key.startswith("images/upload/")]) == 1


def test_a_round_that_ran_is_not_started_again(
    deployed: str, any_photo: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring_gold(any_photo, tmp_path / "gold")
    round_ = any_round()
    assert main(["start", "--stage", "laptop", "--round", round_]) == 0
    assert main(["watch", "--stage", "laptop", "--round", round_]) == 0
    assert main(["start", "--stage", "laptop", "--round", round_]) == 2
    assert f"round {round_} has run already" in capsys.readouterr().err


def test_watch_follows_the_round_that_was_started_last(
    deployed: str, any_photo: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring_gold(any_photo, tmp_path / "gold")
    assert main(["watch", "--stage", "laptop"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split()[0] == "loop"
    assert last.split()[-1] == "SUCCEEDED"


@pytest.mark.usefixtures("deployed")
def test_a_round_that_never_started_cannot_be_watched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--stage", "laptop", "--round", "never"]) == 2
    assert "round never was never started" in capsys.readouterr().err


def test_an_account_on_this_machine_is_emptied_without_asking(
    account: Account, deployed: str, any_photo: Write, tmp_path: Path
) -> None:
    bring_gold(any_photo, tmp_path / "gold")
    assert main(["destroy", "--stage", "laptop"]) == 0
    assert keys(account, deployed) == []


def test_an_account_at_aws_is_not_emptied_unless_somebody_says_so(
    account: Account,
    deployed: str,
    any_photo: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bring_gold(any_photo, tmp_path / "gold")
    monkeypatch.setattr("console.commands.destroy.is_on_this_machine", lambda _: False)
    assert main(["destroy", "--stage", "laptop"]) == 2
    assert "everything that the loop made in account 123456789012: add --yes if you mean it" in capsys.readouterr().err
    assert keys(account, deployed) != []
    assert main(["destroy", "--stage", "laptop", "--yes"]) == 0
    assert keys(account, deployed) == []
