"""compile, and watch and report of what it started, against stacks that have what the commands look for and no more."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console import outcomes, tarballs
from console.cli import main
from console.errors import Failure
from offline.account import Account
from tests.any import any_bytes, any_model_version, any_package, any_round, tar_gz
from tests.offline.roles import make_role
from tests.unit.console.packages import PARITY, not_compiled

ANDROID = ["--framework", "mxnet", "--input", '{"data":[1,3,224,224]}', "--targets", "android-arm64,qcs605"]
COMPILED = [any_package("android-arm64", parity=PARITY), any_package("qcs605")]

STORAGE = {
    "Resources": {"Data": {"Type": "AWS::S3::Bucket"}, "Artifacts": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"DataBucket": {"Value": {"Ref": "Data"}}, "ArtifactBucket": {"Value": {"Ref": "Artifacts"}}},
}
SUCCEED = {"Type": "Succeed"}
FAIL = {"Type": "Fail", "Error": "TooFewTargets", "Cause": "1 target(s) compiled and minimum_targets is 2"}


def create_stack(account: Account, name: str, template: object) -> dict[str, str]:
    """Make a stack of the project; returns its outputs."""
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(
        StackName=f"reefloop-{name}", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    (stack,) = cloudformation.describe_stacks(StackName=f"reefloop-{name}")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@dataclass
class Stage:
    """The buckets, and a machine in place of the stage's: it leaves these packages, then ends as it is told to."""

    account: Account
    data: str
    artifacts: str
    machine: str = ""

    def deploy(self, *, packages: list[dict[str, Any]] | None = None, end: dict[str, Any] = SUCCEED) -> None:
        write = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:s3:putObject",
            "Parameters": {
                "Bucket": self.data,
                "Key.$": "States.Format('models/{}/compilation.json', $.model_version)",
                "Body": json.dumps({"packages": packages}),
            },
            "Next": "End",
        }
        states = {"StartAt": "End" if packages is None else "Write", "States": {"Write": write, "End": end}}
        role = make_role(self.account, any_round(), "s3:PutObject", services=["states"])
        machine = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionString": json.dumps(states), "RoleArn": role},
        }
        template = {
            "Resources": {"Compiler": machine},
            "Outputs": {"Machine": {"Value": {"Ref": "Compiler"}}},
        }
        self.machine = create_stack(self.account, "compilation", template)["Machine"]

    def stored(self) -> list[str]:
        listed = self.account.client("s3").list_objects_v2(Bucket=self.data).get("Contents", [])
        return [item["Key"] for item in listed]

    def inputs(self) -> list[dict[str, Any]]:
        """What executions were started with, the newest first."""
        sfn = self.account.client("stepfunctions")
        arns = [one["executionArn"] for one in sfn.list_executions(stateMachineArn=self.machine)["executions"]]
        return [json.loads(sfn.describe_execution(executionArn=arn)["input"]) for arn in arns]


@pytest.fixture(scope="module")
def storage(account: Account) -> dict[str, str]:
    return create_stack(account, "storage", STORAGE)


@pytest.fixture
def stage(account: Account, storage: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    opened = Stage(account, storage["DataBucket"], storage["ArtifactBucket"])
    yield opened
    account.client("cloudformation").delete_stack(StackName="reefloop-compilation")
    for key in opened.stored():
        account.client("s3").delete_object(Bucket=opened.data, Key=key)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An MXNet model as far as a tarball shows."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tar_gz({"net-symbol.json": b"{}", "net-0000.params": any_bytes()}))
    return path


def compile_(model: object, *options: str) -> int:
    return main(["compile", "--stage", "laptop", "--model", str(model), *(options or ANDROID)])


def test_a_combination_that_cannot_work_is_heard_without_an_account(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert compile_(model, "--framework", "MXNET", "--targets", "ios") == 2
    assert "ios: for coreml Neo takes TENSORFLOW and PYTORCH, and not MXNET" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            tar_gz({"net-symbol.json": b"{}"}),
            "android-arm64, qcs605: the tarball holds 'net-symbol.json' and lacks one .params file",
        ),
        (b"PK\x03\x04", "nothing of it was used"),
        (tar_gz({"net-symbol.json": b"{}", "net-0000.params": b"x"})[:-9], "nothing of it was used"),
        (tar_gz({"../net-symbol.json": b"{}"}), "could lead out of the folder"),
    ],
)
def test_a_tarball_that_the_compiler_would_refuse_is_not_uploaded(
    content: bytes, sentence: str, stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.tar.gz").write_bytes(content)
    assert compile_(tmp_path / "bad.tar.gz") == 2
    assert sentence in capsys.readouterr().err
    assert stage.stored() == []


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("nowhere.tar.gz", "nowhere.tar.gz is not a file: --model takes"),
        ("s3://b", "'s3://b' is not an S3 URI"),
        ("s3://no-such-bucket/model.tar.gz", "s3://no-such-bucket/model.tar.gz is not there"),
    ],
)
def test_a_model_that_is_nowhere_is_refused(
    model: str, sentence: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compile_(model) == 2
    assert sentence in capsys.readouterr().err


def test_a_model_is_brought_and_its_compilation_started(
    stage: Stage, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.deploy()
    assert compile_(model, *ANDROID, "--framework-version", "1.8") == 0
    (payload,) = stage.inputs()
    version = payload["model_version"]
    key = f"models/{version}/source/model.tar.gz"
    assert payload == {
        "model_version": version,
        "targets": ["android-arm64", "qcs605"],
        "model": {
            "uri": f"s3://{stage.data}/{key}",
            "framework": "MXNET",
            "framework_version": "1.8",
            "data_input_config": '{"data":[1,3,224,224]}',
        },
    }
    body = stage.account.client("s3").get_object(Bucket=stage.data, Key=key)["Body"].read()
    assert body == model.read_bytes()
    assert f"follow it with `python -m console watch --model {version}`" in capsys.readouterr().out


def test_the_same_model_is_brought_once_and_compiled_again(stage: Stage, model: Path) -> None:
    stage.deploy()
    assert compile_(model) == 0
    (key,) = stage.stored()
    stage.account.client("s3").put_object(Bucket=stage.data, Key=key, Body=b"left alone")
    assert compile_(model) == 0
    assert stage.account.client("s3").get_object(Bucket=stage.data, Key=key)["Body"].read() == b"left alone"
    first, second = stage.inputs()
    assert first == second


def test_a_model_in_a_bucket_is_copied_within_s3(stage: Stage, model: Path) -> None:
    stage.deploy()
    s3 = stage.account.client("s3")
    bucket = any_round()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="models of mine/[b]net[/b].tar.gz", Body=model.read_bytes())
    assert compile_(f"s3://{bucket}/models of mine/[b]net[/b].tar.gz") == 0
    (key,) = stage.stored()
    assert s3.get_object(Bucket=stage.data, Key=key)["Body"].read() == model.read_bytes()
    assert stage.inputs()[0]["model"]["uri"] == f"s3://{stage.data}/{key}"


def test_waiting_ends_with_what_every_target_got_and_where_it_is(
    stage: Stage, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.deploy(packages=COMPILED)
    assert compile_(model, *ANDROID, "--wait") == 0
    said = capsys.readouterr().out
    assert len([line for line in said.splitlines() if "SUCCEEDED" in line]) == 1
    assert "100.0% of 16 golden, 99.88% of 812" in said
    assert f"qcs605: s3://{stage.artifacts}/{COMPILED[1]['key']}\n" in said


def test_a_target_without_a_compiled_model_is_a_failure_that_says_why(
    stage: Stage, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.deploy(packages=[COMPILED[0], not_compiled("qcs605", reason="TVM [bold]cannot[/bold] convert FlipOp")])
    assert compile_(model, *ANDROID, "--wait") == 1
    told = capsys.readouterr()
    assert "TVM [bold]cannot[/bold] convert FlipOp" in told.out
    assert told.err == "error: 1 of 2 targets got no compiled model: qcs605 is refused (operator)\n"


def test_a_stage_that_fails_shows_what_targets_got_before_it_says_why(
    stage: Stage, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.deploy(packages=[COMPILED[0], not_compiled("qcs605")], end=FAIL)
    assert compile_(model, *ANDROID, "--wait") == 1
    told = capsys.readouterr()
    assert "TVM cannot convert FlipOp" in told.out
    assert "minimum_targets is 2" in told.err
    assert main(["watch", "--stage", "laptop", "--model", stage.inputs()[0]["model_version"]]) == 1
    told = capsys.readouterr()
    assert "TVM cannot convert FlipOp" in told.out
    assert "minimum_targets is 2" in told.err


def test_what_an_earlier_compilation_left_is_not_taken_for_this_one(stage: Stage) -> None:
    version, s3 = any_model_version(), stage.account.client("s3")
    s3.put_object(Bucket=stage.data, Key=f"models/{version}/compilation.json", Body=json.dumps({"packages": COMPILED}))
    later = datetime.now(UTC) + timedelta(seconds=2)
    assert outcomes.read(stage.account.client, stage.data, version) == COMPILED
    assert outcomes.read(stage.account.client, stage.data, version, since=later) == []


def test_a_compilation_can_be_watched_and_reported_afterwards(
    stage: Stage, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.deploy(packages=COMPILED)
    assert compile_(model) == 0
    version = stage.inputs()[0]["model_version"]
    assert main(["watch", "--stage", "laptop", "--model", version]) == 0
    capsys.readouterr()
    assert main(["report", "--stage", "laptop", "--model", version]) == 0
    assert "99.88% of 812" in capsys.readouterr().out


def test_a_rounds_report_has_what_devices_got_of_its_model(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    card = {"round": {}, "splits": {}, "sources": {}, "label_error": {}}
    for key, body in {
        "datasets/reef-1/card.json": card,
        "models/reef-1-0a1b2c3d/compilation.json": {"packages": COMPILED},
        "models/reef-1-ffffffff/model.json": {},
    }.items():
        stage.account.client("s3").put_object(Bucket=stage.data, Key=key, Body=json.dumps(body))
    assert main(["report", "--stage", "laptop", "--round", "reef-1"]) == 0
    said = capsys.readouterr().out
    assert "model reef-1-0a1b2c3d\n" in said
    assert "99.88% of 812" in said
    assert "ffffffff" not in said


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("watch", "no compilation of 'own-0' was ever started"),
        ("report", "nothing is known of a compilation of 'own-0'"),
    ],
)
def test_a_model_that_was_never_compiled_cannot_be_followed(
    command: str, sentence: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.deploy()
    assert main([command, "--stage", "laptop", "--model", "own-0"]) == 2
    assert sentence in capsys.readouterr().err


def test_the_models_of_a_round_are_not_those_of_a_round_whose_name_begins_alike(stage: Stage) -> None:
    for version in ("1-0a1b2c3d", "1-ffffffff", "1-2-0a1b2c3d", "10-0a1b2c3d"):
        stage.account.client("s3").put_object(Bucket=stage.data, Key=f"models/{version}/model.json", Body=b"{}")
    assert outcomes.models_of(stage.account.client, stage.data, "1") == ["1-0a1b2c3d", "1-ffffffff"]


def test_a_model_that_changes_before_it_is_copied_is_not_taken_for_what_it_was(stage: Stage, model: Path) -> None:
    stage.account.client("s3").put_object(Bucket=stage.data, Key="net.tar.gz", Body=model.read_bytes())
    found = tarballs.find(stage.account.client, f"s3://{stage.data}/net.tar.gz")
    stage.account.client("s3").put_object(Bucket=stage.data, Key="net.tar.gz", Body=b"another")
    with pytest.raises(Failure, match="could not be copied"):
        found.bring(stage.data, "models/own-0/source/model.tar.gz")
    assert stage.stored() == ["net.tar.gz"]
