"""A job in a line: where it runs, how far it has come, why it ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from console.executions import Execution
from console.jobs import Job, describe_job
from console.screen import execution_rows

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/reefloop-training-1"


def training(status: str, secondary: str, *, spot: bool = True, **more: Any) -> Job:
    """A training job that SageMaker describes so."""
    described = {
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
        "EnableManagedSpotTraining": spot,
        **more,
    }

    class SageMaker:
        def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:
            assert TrainingJobName == "reefloop-training-1"
            return described

    return describe_job(lambda _: SageMaker(), "TrainingJobArn", ARN)


def test_a_training_tells_where_it_runs_and_how_far_it_has_come() -> None:
    values = {"epoch": 3.0, "train:loss": 1.25, "step_seconds": 0.1, "validation:accuracy": 0.5}
    metrics = [{"MetricName": name, "Value": value} for name, value in values.items()]
    job = training("InProgress", "Training", FinalMetricDataList=metrics)
    assert job.detail == "ml.g5.xlarge spot, epoch 3, train:loss 1.25, validation:accuracy 0.5"


@pytest.mark.parametrize("secondary", ["Interrupted", "Pending", "Downloading"])
def test_a_training_that_waits_tells_for_what(secondary: str) -> None:
    assert training("InProgress", secondary, spot=False).detail == f"ml.g5.xlarge, {secondary}"


def test_a_training_that_was_stopped_tells_by_what() -> None:
    job = training("Stopped", "MaxWaitTimeExceeded")
    assert (job.failed, job.reason) == (True, "MaxWaitTimeExceeded")
    assert training("Completed", "Completed").reason == ""


@pytest.mark.parametrize(
    ("output", "detail"),
    [
        ({"TargetDevice": "rasp4b"}, "ONNX for rasp4b"),
        ({"TargetPlatform": {"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"}}, "ONNX for LINUX/ARM64/NVIDIA"),
    ],
)
def test_a_compilation_tells_what_is_compiled_for_what_and_why_it_failed(output: dict[str, Any], detail: str) -> None:
    class SageMaker:
        def describe_compilation_job(self, *, CompilationJobName: str) -> dict[str, Any]:
            return {
                "CompilationJobStatus": "FAILED",
                "FailureReason": "no operator [Flip]",
                "InputConfig": {"Framework": "ONNX"},
                "OutputConfig": output,
            }

    job = describe_job(lambda _: SageMaker(), "CompilationJobArn", "arn:aws:sagemaker:::compilation-job/any-job-1")
    assert job.detail == detail
    running = Execution(
        "arn:states:::execution:m:e", "compilation", "RUNNING", datetime.now(UTC), None, {}, {}, jobs=(job,)
    )
    _, row = execution_rows(running)
    assert row.detail == f"{detail}: no operator [Flip]"
