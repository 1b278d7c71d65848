"""start, watch and destroy from the command line, against stacks that have what the commands look for and no more."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.cli import main
from offline.account import Account
from settings import Settings
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


def test_a_first_round_needs_gold(
    account: Account, deployed: str, any_photo: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = any_photo("images/1.png")
    assert main(["start", "--stage", "laptop", "--round", any_round(), "--images", str(photo.parent)]) == 2
    assert "the bucket has no gold yet" in capsys.readouterr().err
    assert keys(account, deployed) == []


@pytest.fixture
def gold(any_photo: Write) -> tuple[str, str]:
    """The option that brings gold of two classes."""
    folders = [any_photo(f"gold/{label}/1.png").parent for label in ("crab", "squid")]
    return "--gold", str(folders[0].parent)


def start_at(monkeypatch: pytest.MonkeyPatch, settings: Settings, *arguments: str) -> int:
    """Run start for a stage with these settings."""
    monkeypatch.setattr("console.commands.start.load_settings", lambda _: settings)
    return main(["start", *arguments])


def test_a_stage_without_a_loop_is_refused_before_anything_is_uploaded(
    account: Account,
    deployed: str,
    gold: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    boxes = Settings(stage="laptop", task="detection")
    assert start_at(monkeypatch, boxes, "--round", any_round(), *gold) == 2
    assert "task 'detection': people label boxes" in capsys.readouterr().err
    assert keys(account, deployed) == []
    monkeypatch.setattr("console.commands.watch.load_settings", lambda _: boxes)
    assert main(["watch"]) == 2
    assert "start its labeling machine by itself, as docs/labeling.md says" in capsys.readouterr().err


def manifest(folder: Path) -> str:
    path = folder / "labels.manifest"
    path.write_text('{"source-ref": "s3://bucket/1.jpg"}\n')
    return str(path)


@pytest.mark.parametrize("provider", ["ground-truth", "station"])
def test_a_manifest_that_nobody_would_read_is_refused_before_anything_is_uploaded(
    account: Account,
    deployed: str,
    gold: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    provider: str,
) -> None:
    asks_people = Settings.model_validate({"stage": "laptop", "labeling": {"provider": provider}})
    brought = (*gold, "--manifest", manifest(tmp_path))
    assert start_at(monkeypatch, asks_people, "--round", any_round(), *brought) == 2
    assert f"provider '{provider}', which reads no manifest: leave --manifest out" in capsys.readouterr().err
    assert keys(account, deployed) == []


def test_a_round_of_imported_labels_needs_its_manifest_once(
    account: Account,
    deployed: str,
    gold: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    imports, round_ = Settings.model_validate({"stage": "laptop", "labeling": {"provider": "import"}}), any_round()
    assert start_at(monkeypatch, imports, "--round", round_, *gold) == 2
    assert f"round {round_} has none: bring an augmented manifest with --manifest" in capsys.readouterr().err
    assert keys(account, deployed) == []
    assert start_at(monkeypatch, imports, "--round", round_, *gold, "--manifest", manifest(tmp_path)) == 0
    capsys.readouterr()
    start_at(monkeypatch, imports, "--round", round_)
    assert "--manifest" not in capsys.readouterr().err


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
    said = capsys.readouterr().err
    assert "deletes the images, labels and models of reefloop in account 123456789012, us-east-1" in said
    assert "add --yes if you mean it" in said
    assert keys(account, deployed) != []
    assert main(["destroy", "--stage", "laptop", "--yes"]) == 0
    assert keys(account, deployed) == []


@pytest.fixture
def retained(account: Account, environment: None) -> Iterator[str]:
    """The storage stack of a stage with storage.retain, and an image in its data bucket, which is returned."""
    cloudformation, s3, template = account.client("cloudformation"), account.client("s3"), copy.deepcopy(STORAGE)
    for resource in template["Resources"].values():
        resource["DeletionPolicy"] = "Retain"
    cloudformation.create_stack(StackName="reefloop-storage", TemplateBody=json.dumps(template))
    (stack,) = cloudformation.describe_stacks(StackName="reefloop-storage")["Stacks"]
    buckets = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    s3.put_object(Bucket=buckets["DataBucket"], Key="images/upload/1.jpg", Body=b"image")
    yield buckets["DataBucket"]
    main(["destroy", "--stage", "laptop", "--force"])
    cloudformation.delete_stack(StackName="reefloop-storage")
    for bucket in buckets.values():
        s3.delete_bucket(Bucket=bucket)


def test_a_stage_that_keeps_its_data_is_cleared_of_the_rest_and_says_so(
    account: Account, retained: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["destroy", "--stage", "laptop"]) == 0
    said = capsys.readouterr().out
    assert "kept, since the stage has storage.retain: both buckets with all that is in them" in said
    assert keys(account, retained) == ["images/upload/1.jpg"]
    with monkeypatch.context() as patch:
        patch.setattr("console.commands.destroy.is_on_this_machine", lambda _: False)
        assert main(["destroy", "--stage", "laptop"]) == 2
    assert "its images, labels and models are kept: add --yes" in capsys.readouterr().err


def test_only_when_forced_is_data_deleted_that_a_stage_keeps(
    account: Account, retained: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("console.commands.destroy.is_on_this_machine", lambda _: False)
        assert main(["destroy", "--stage", "laptop", "--force"]) == 2
    assert "This deletes the images, labels and models of reefloop" in capsys.readouterr().err
    assert main(["destroy", "--stage", "laptop", "--force"]) == 0
    assert "kept" not in capsys.readouterr().out
    assert keys(account, retained) == []
