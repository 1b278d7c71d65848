"""Training on instances that are missing or taken away, and the person who has the last word. They share an account."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from console.photos import read_photos
from console.upload import DataBucket
from jobs.manifest import labeled
from offline.account import Account
from offline.scenes import make_images
from reefloop.contracts import LABEL_ATTRIBUTE, dataset_key
from stacks.constructs.training_job import METRICS
from tests.workflow.deployed import SPECIES, Deployed, synthesize
from tests.workflow.in_flight import eventually

DATASET = "first"
OBJECTS = {"train": 6, "validation": 3, "test": 3}
"""Of each class."""
EPOCHS = 12
"""So many that a training whose instances are taken away notices it before its last, however busy the machine is."""


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The training stack and what it needs, with a person who approves, and a dataset."""
    folder = tmp_path_factory.mktemp("training")
    changes = {"epochs": EPOCHS, "image_pixels": 32, "approval": "manual"}
    with Account(folder / "account") as account:
        account.bootstrap()
        deployed = Deployed(account, {}, folder)
        deployed.deploy(synthesize(folder / "assembly", training=changes), "reefloop-training")
        put_dataset(deployed)
        yield deployed


@pytest.fixture(autouse=True)
def _no_faults_left(training: Deployed) -> Iterator[None]:
    yield
    training.account.faults.clear()


def put_dataset(deployed: Deployed) -> None:
    """Images of a few species, and a dataset version about them as Merge leaves it."""
    photos = read_photos(
        (path, path.parent.name) for path in make_images(deployed.folder / "images", SPECIES, sum(OBJECTS.values()), 1)
    )
    bucket = deployed.project.data_bucket
    DataBucket(deployed.account.client, bucket).upload(photos.photos)
    lines: dict[str, list[Any]] = {split: [] for split in OBJECTS}
    for name in SPECIES:
        names = iter(photos.of(name))
        for split, count in OBJECTS.items():
            for photo in (next(names) for _ in range(count)):
                line = {"source-ref": f"s3://{bucket}/images/upload/{photo.name}", "content": photo.digest}
                lines[split].append(
                    labeled(line, LABEL_ATTRIBUTE, SPECIES, name, by_human=True, confidence=1, job_name="gold")
                )
    read = {"training-images.json": ("train", "validation"), "test-images.json": ("test",)}
    files = {f"{split}.manifest": "\n".join(map(json.dumps, some)) for split, some in lines.items()}
    for name, splits in read.items():
        images = [line["source-ref"].removeprefix(f"s3://{bucket}/") for split in splits for line in lines[split]]
        files[name] = json.dumps([{"prefix": f"s3://{bucket}/"}, *images])
    files["card.json"] = json.dumps({"version": DATASET, "labels": SPECIES, "human_level": None})
    for name, body in files.items():
        deployed.client("s3").put_object(Bucket=bucket, Key=dataset_key(DATASET, name), Body=body.encode())


def lack_quota(training: Deployed, instance_type: str, *, spot: bool, times: int = 1) -> None:
    market = "spot training" if spot else "training"
    training.account.faults.refuse(
        "sagemaker:CreateTrainingJob",
        "ResourceLimitExceeded",
        f"The account-level service limit '{instance_type} for {market} job usage' is 0 Instances, with current "
        "utilization of 0 Instances and a request delta of 1 Instances.",
        times=times,
        match=lambda job: (
            job["ResourceConfig"]["InstanceType"] == instance_type and job["EnableManagedSpotTraining"] == spot
        ),
    )


def decided(training: Deployed, execution: str, status: str, **words: str) -> dict[str, Any]:
    """The execution at its end, after a person decided about the model that it waited with."""
    describe, sagemaker = training.client("stepfunctions").describe_execution, training.client("sagemaker")
    eventually(
        lambda: "AwaitApproval" in training.states(execution) or describe(executionArn=execution)["status"] != "RUNNING"
    )
    if "AwaitApproval" not in training.states(execution):
        return training.end_of(execution)
    [package] = sagemaker.list_model_packages(
        ModelPackageGroupName="reefloop", ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageSummaryList"]
    sagemaker.update_model_package(ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus=status, **words)
    return training.end_of(execution)


def log(training: Deployed, job: dict[str, Any]) -> str:
    return (training.account.state.folder / "jobs" / job["TrainingJobName"] / "log.txt").read_text()


@dataclass(frozen=True)
class Trained:
    """An execution that trained, at its end, and the jobs that it made, the oldest first."""

    execution: dict[str, Any]
    jobs: list[dict[str, Any]]


@pytest.fixture(scope="module")
def adventurous(training: Deployed) -> Trained:
    """A training that has no quota first, then loses its spot instances twice, the second time for good."""
    before = training.job_names("Training")
    lack_quota(training, "ml.g5.xlarge", spot=True)
    training.account.faults.interrupt_training()
    training.account.faults.interrupt_training(for_good=True)
    execution = training.start("training", {"dataset_version": DATASET}, "adventurous")
    end = decided(training, execution, "Approved", ApprovalDescription="seen by the biologist")
    describe = training.client("sagemaker").describe_training_job
    made = [describe(TrainingJobName=name) for name in training.job_names("Training") if name not in before]
    return Trained(end, sorted(made, key=lambda job: str(job["CreationTime"])))


def test_a_training_without_quota_then_without_spot_comes_to_its_end_on_demand(
    training: Deployed, adventurous: Trained
) -> None:
    assert adventurous.execution["status"] == "SUCCEEDED", adventurous.execution
    attempt = ["Train", "NextAttempt"]
    judged = ["Trained", "FindChampion", "Evaluate", "Register", "Undecided", "AwaitApproval", "Model"]
    states = training.states(adventurous.execution["executionArn"])
    assert states == ["Image", "Prepare", *attempt, *attempt, "Train", *judged]

    spot, demand = adventurous.jobs
    assert [job["ResourceConfig"]["InstanceType"] for job in (spot, demand)] == ["ml.g6.xlarge", "ml.g5.xlarge"]
    assert (spot["EnableManagedSpotTraining"], demand["EnableManagedSpotTraining"]) == (True, False)
    assert (spot["TrainingJobStatus"], spot["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert demand["TrainingJobStatus"] == "Completed"
    before, after = (re.findall(r"^epoch=(\d+)", log(training, job), re.MULTILINE) for job in (spot, demand))
    assert before
    assert after
    assert list(map(int, before + after)) == list(range(1, EPOCHS + 1))


def test_a_model_that_a_person_approves_is_accepted_with_that_persons_words(
    training: Deployed, adventurous: Trained
) -> None:
    output = adventurous.execution["output"]
    assert output["accepted"] is True
    assert output["reasons"][-1] == "approved in the registry by a person: seen by the biologist"
    assert training.keys("approvals/") == []


def test_metrics_are_found_in_the_log_and_taken_for_nothing_else(training: Deployed, adventurous: Trained) -> None:
    job = adventurous.jobs[-1]
    text = log(training, job)
    lines = [line for line in text.splitlines() if line.startswith("epoch=")]
    told = dict(pair.split("=") for pair in lines[-1].split())

    found = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}

    assert found == pytest.approx({name: float(value) for name, value in told.items()})
    assert set(METRICS) - set(found) == {"gpu_memory_gib"}
    for metric in job["AlgorithmSpecification"]["MetricDefinitions"]:
        # An epoch of which the interrupted job did every step has no speed.
        saying = [line for line in lines if f" {metric['Name']}=" in f" {line}"]
        assert len(re.findall(metric["Regex"], text)) == len(saying), metric["Name"]


def test_a_model_that_a_person_rejects_is_not_accepted(training: Deployed) -> None:
    execution = training.start("training", {"dataset_version": DATASET}, "rejected")
    end = decided(training, execution, "Rejected")
    assert end["status"] == "SUCCEEDED", end
    assert end["output"]["accepted"] is False
    assert end["output"]["reasons"][-1] == "rejected in the registry by a person"


def test_a_training_that_gets_no_instances_names_every_quota_and_a_redrive_tries_them_again(
    training: Deployed,
) -> None:
    for instance_type in ("ml.g5.xlarge", "ml.g6.xlarge"):
        for spot in (True, False):
            lack_quota(training, instance_type, spot=spot)

    failed = training.run("training", {"dataset_version": DATASET}, "no-instances")

    assert (failed["status"], failed["error"]) == ("FAILED", "InstancesMissing")
    for quota in ("ml.g5.xlarge for spot training", "ml.g6.xlarge for training"):
        assert f"ask Service Quotas for 1 '{quota} job usage'" in failed["cause"]

    training.account.faults.fail_job("training", "AlgorithmError: train.manifest is empty, exit code: 1")
    training.client("stepfunctions").redrive_execution(executionArn=failed["executionArn"])
    again = training.end_of(failed["executionArn"])

    assert (again["status"], again["error"]) == ("FAILED", "TrainingFailed")
    assert json.loads(again["cause"])["errorMessage"] == "AlgorithmError: train.manifest is empty, exit code: 1"
