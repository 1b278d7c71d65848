"""A job's files are made again as SageMaker made them, and its container runs on them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from offline.account import Account
from tests.offline.bench import until
from tests.workstation.commands import Commands
from workstation import s3
from workstation.cli import main
from workstation.machine import Problem

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/jobs:then"
BUCKET = "data"
OBJECTS = {
    "datasets/2026-11/train.manifest": b'{"source-ref": "s3://data/images/upload/a b.png"}\n',
    "datasets/2026-11/card.json": b"{}",
    "datasets/2026-110/card.json": b"of another dataset",
    "images/upload/a b.png": b"one",
    "images/edge/ręef-1/?x=1&y.png": b"two",
    "images/upload/unlisted.png": b"three",
    "models/m/checkpoints/000003.pt": b"a checkpoint",
}
LISTED = ["images/upload/a b.png", "images/edge/ręef-1/?x=1&y.png"]

Make = Callable[..., str]


def source(kind: str, key: str, **more: str) -> dict[str, str]:
    return {"S3DataType": kind, "S3Uri": f"s3://{BUCKET}/{key}", **more}


def put_list(aws: Account, names: list[str], key: str = "datasets/2026-11/training-images.json") -> None:
    body = json.dumps([{"prefix": f"s3://{BUCKET}/"}, *names])
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body.encode())


@pytest.fixture
def failed(aws: Account, commands: Commands, home: Path) -> Make:
    """Starts a job that fails, since its image is nowhere, and gives its name."""
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    for key, body in OBJECTS.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    put_list(aws, LISTED)
    commands.add("docker")

    def make(name: str, kind: str = "training") -> str:
        prefix = f"{kind.capitalize()}Job"
        request = {**(TRAINING if kind == "training" else PROCESSING), "RoleArn": "arn:aws:iam::123456789012:role/any"}
        getattr(sagemaker, f"create_{kind}_job")(**{f"{prefix}Name": name}, **request)
        describe = getattr(sagemaker, f"describe_{kind}_job")
        until(lambda: describe(**{f"{prefix}Name": name}), lambda job: job[f"{prefix}Status"] == "Failed")
        return name

    return make


TRAINING: dict[str, Any] = {
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "HyperParameters": {"epochs": "3"},
    "InputDataConfig": [
        {
            "ChannelName": "dataset",
            "InputMode": "FastFile",
            "DataSource": {"S3DataSource": source("S3Prefix", "datasets/2026-11/")},
        },
        {
            "ChannelName": "images",
            "DataSource": {"S3DataSource": source("ManifestFile", "datasets/2026-11/training-images.json")},
        },
    ],
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models/m/"},
    "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/models/m/checkpoints"},
    "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.g5.xlarge", "VolumeSizeInGB": 100},
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    "Environment": {"OMP_NUM_THREADS": "2; rm -rf /"},
}
PROCESSING: dict[str, Any] = {
    "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": ["score", "--round", "a b; $(id)"]},
    "ProcessingInputs": [
        {
            "InputName": "images",
            "S3Input": source(
                "ManifestFile",
                "datasets/2026-11/training-images.json",
                LocalPath="/opt/ml/processing/input/images",
                S3InputMode="File",
                S3DataDistributionType="ShardedByS3Key",
            ),
        }
    ],
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "routing",
                "S3Output": {
                    "S3Uri": f"s3://{BUCKET}/rounds/r/",
                    "LocalPath": "/opt/ml/processing/output/routing",
                    "S3UploadMode": "EndOfJob",
                },
            }
        ]
    },
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 50}
    },
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def config(ml: Path, name: str) -> Any:
    return json.loads((ml / name).read_text())


def test_a_training_job_has_its_channels_its_checkpoints_and_its_configuration_again(failed: Make, home: Path) -> None:
    assert main(["job", failed("reefloop-training-1")]) == 0
    ml = home / "reefloop-training-1" / "ml"
    assert files(ml / "input" / "data" / "dataset") == {
        "train.manifest": OBJECTS["datasets/2026-11/train.manifest"],
        "card.json": OBJECTS["datasets/2026-11/card.json"],
        "training-images.json": json.dumps([{"prefix": "s3://data/"}, *LISTED]).encode(),
    }
    assert files(ml / "input" / "data" / "images") == {key: OBJECTS[key] for key in LISTED}
    assert files(ml / "checkpoints") == {"000003.pt": b"a checkpoint"}
    assert config(ml, "input/config/hyperparameters.json") == {"epochs": "3"}
    assert config(ml, "input/config/resourceconfig.json")["hosts"] == ["algo-1"]
    channels = config(ml, "input/config/inputdataconfig.json")
    assert [channels[name]["TrainingInputMode"] for name in ("dataset", "images")] == ["FastFile", "File"]
    assert channels["images"] == {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    assert (ml / "model").is_dir()
    assert (ml / "output" / "data").is_dir()


def test_a_job_can_begin_again_without_its_checkpoints(failed: Make, home: Path) -> None:
    assert main(["job", "--from-start", failed("reefloop-training-2")]) == 0
    assert files(home / "reefloop-training-2" / "ml" / "checkpoints") == {}


def test_running_repeats_what_the_job_ran_on_its_files_and_all_gpus(
    failed: Make, home: Path, commands: Commands
) -> None:
    name = failed("reefloop-training-3")
    assert main(["job", name]) == 0
    assert main(["run"]) == 0
    user = f"{os.getuid()}:{os.getgid()}"
    assert commands.calls("docker")[-1].split(" --env ") == [
        f"run --rm --gpus all --shm-size 8g --user {user} --label reefloop=run --volume {home / name / 'ml'}:/opt/ml",
        "OMP_NUM_THREADS=2; rm -rf /",
        f"TRAINING_JOB_NAME={name}",
        f"TRAINING_JOB_ARN=arn:aws:sagemaker:us-east-1:123456789012:training-job/{name} {IMAGE} train",
    ]


def test_a_processing_job_has_every_shard_and_its_arguments_again(failed: Make, home: Path, commands: Commands) -> None:
    name = failed("reefloop-labeling-1", "processing")
    assert main(["job", name]) == 0
    ml = home / name / "ml"
    assert files(ml / "processing" / "input" / "images") == {key: OBJECTS[key] for key in LISTED}
    assert (ml / "processing" / "output" / "routing").is_dir()
    assert config(ml, "config/resourceconfig.json") == {"current_host": "algo-1", "hosts": ["algo-1"]}
    assert config(ml, "config/processingjobconfig.json")["ProcessingJobName"] == name
    assert main(["run"]) == 0
    assert commands.calls("docker")[-1].endswith(f"{IMAGE} score --round a b; $(id)")


def test_a_key_that_leaves_its_folder_is_refused_before_anything_is_written(
    failed: Make, aws: Account, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_list(aws, [*LISTED, "images/../../../../evil"])
    job = failed("reefloop-evil")
    assert main(["job", job]) == 1
    assert "would be put outside its folder, at 'images/../../../../evil'" in capsys.readouterr().err
    assert not (home / job).exists()
    assert not (home / f"{job}.partial" / "ml" / "input" / "data" / "images").exists()


@given(st.lists(st.sampled_from(["..", ".", "", "a", "~", "b c", "\0", "c.png"])).map("/".join))
@example("/etc/passwd")
def test_an_object_lies_in_its_folder_or_nowhere(name: str) -> None:
    folder = Path("/ml/input")
    try:
        target = s3.inside(folder, name, "s3://any/key")
    except Problem:
        return
    assert folder in Path(os.path.normpath(target)).parents


def test_an_interrupted_download_goes_on_where_it_was(
    failed: Make, aws: Account, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_list(aws, [*LISTED, "images/upload/late.png"])
    job = failed("reefloop-training-4")
    assert main(["job", job]) == 1
    assert "s3://data/images/upload/late.png: there is no such object" in capsys.readouterr().err
    there = home / f"{job}.partial" / "ml" / "input" / "data" / "images" / LISTED[0]
    there.write_bytes(b"kept")
    aws.client("s3").put_object(Bucket=BUCKET, Key="images/upload/late.png", Body=b"late")
    assert main(["job", job]) == 0
    images = files(home / job / "ml" / "input" / "data" / "images")
    assert images == {LISTED[0]: b"kept", LISTED[1]: b"two", "images/upload/late.png": b"late"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("reefloop-nobody", "Could not find"), ("--region", "the following arguments"), ("a/b", "is no name of a job")],
)
def test_a_job_that_is_none_ends_with_one_sentence(
    failed: Make, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    try:
        status = main(["job", name])
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status != 0
    assert message in capsys.readouterr().err


def test_a_job_that_is_there_is_not_overwritten(failed: Make, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = failed("reefloop-training-5")
    assert main(["job", name]) == 0
    assert main(["job", name]) == 1
    assert "is there already" in capsys.readouterr().err
