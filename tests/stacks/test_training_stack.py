"""The training stack: what a job is asked, on which instances, and what becomes of its end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.training import metrics
from jobs.training.hyperparameters import Hyperparameters
from settings import Settings, TrainingSettings
from stacks.constructs.training_job import HYPERPARAMETERS
from tests.stacks.conftest import CONFIGURATIONS, Templates, definition, listed, only, resources, statements, text

MANUAL = "on demand, approved by hand"
STREAMED = "many GPUs, streamed"


def states(templates: Templates) -> dict[str, Any]:
    found: dict[str, Any] = definition(templates["training"])["States"]
    return found


def training_job(templates: Templates) -> dict[str, Any]:
    parameters: dict[str, Any] = states(templates)["Train"]["Parameters"]
    return parameters


def allowed(templates: Templates, role: str) -> dict[str, set[str]]:
    """What a role may do to which objects of the data bucket, by action."""
    found: dict[str, set[str]] = {}
    for statement in statements(templates["training"], role):
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                found.setdefault(action, set()).add(text(resource).partition("/")[2])
    return found


def test_instances_and_limits_are_those_of_the_attempt(sandbox: Templates) -> None:
    job = training_job(sandbox)
    assert job["ResourceConfig"]["InstanceType.$"] == "$.plan.attempt.instance_type"
    assert job["EnableManagedSpotTraining.$"] == "$.plan.attempt.spot"
    assert job["StoppingCondition.$"] == "$.plan.attempt.stopping_condition"
    assert "checkpoints" in job["CheckpointConfig"]["S3Uri.$"]
    assert "$.plan.model_version" in job["CheckpointConfig"]["S3Uri.$"]


@pytest.mark.parametrize("state", ["Prepare", "NextAttempt"])
def test_attempts_are_those_of_the_settings(configured: Callable[[str], Templates], state: str) -> None:
    for name, wait in (("sandbox", str(24 * 3600)), (MANUAL, "0")):
        function = only(configured(name)["training"], "AWS::Lambda::Function", state)
        variables = function["Environment"]["Variables"]
        assert (variables["INSTANCE_TYPES"], variables["MAX_WAIT_SECONDS"]) == ("ml.g5.xlarge,ml.g6.xlarge", wait)


def test_whatever_ends_a_training_but_its_completion_leads_to_the_next_attempt(sandbox: Templates) -> None:
    machine = states(sandbox)
    assert machine["Train"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.job", "Next": "NextAttempt"}]
    [completed] = machine["Trained"]["Choices"]
    assert (completed["Variable"], completed["StringEquals"]) == ("$.job.TrainingJobStatus", "Completed")
    assert completed["Next"] == "FindChampion"
    assert machine["Trained"]["Default"] == "NextAttempt"
    assert machine["NextAttempt"]["Next"] == "Train"
    assert machine["NextAttempt"]["ResultPath"] == "$.plan"


def test_a_busy_service_is_asked_again_after_a_scattered_pause(sandbox: Templates) -> None:
    for state in ("Train", "Evaluate"):
        [retry] = states(sandbox)[state]["Retry"]
        assert "SageMaker.AmazonSageMakerException" in retry["ErrorEquals"]
        assert retry["JitterStrategy"] == "FULL"


def test_a_state_outlives_the_job_that_it_waits_for(sandbox: Templates) -> None:
    settings = Settings.load("sandbox")
    assert states(sandbox)["Train"]["TimeoutSeconds"] > settings.training.max_wait_seconds
    assert states(sandbox)["Evaluate"]["TimeoutSeconds"] > settings.jobs.max_runtime_seconds


@pytest.mark.parametrize("name", ["laptop", "sandbox", STREAMED])
def test_the_trainer_takes_the_hyperparameters_of_the_settings(
    configured: Callable[[str], Templates], name: str, tmp_path: Path
) -> None:
    given = training_job(configured(name))["HyperParameters"]
    assert all(isinstance(value, str) for value in given.values())
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps({key.removesuffix(".$"): value for key, value in given.items()}))

    taken = Hyperparameters.read(file)

    stage, choices = CONFIGURATIONS[name]
    settings = Settings.load(stage, context={"stage": stage, "stages": {stage: _merged(stage, choices)}})
    assert {field: getattr(taken, field) for field in HYPERPARAMETERS} == {
        field: getattr(settings.training, field) for field in HYPERPARAMETERS
    }
    assert taken.pretrained == (settings.training.network in settings.jobs.pretrained) == (name == STREAMED)


def _merged(stage: str, choices: dict[str, Any]) -> dict[str, Any]:
    values = Settings.load(stage).model_dump(exclude={"stage"})
    return {branch: value | choices.get(branch, {}) if isinstance(value, dict) else value
            for branch, value in values.items()}  # fmt: skip


def test_every_setting_of_the_training_itself_is_a_hyperparameter() -> None:
    """What is none is about instances, data, gate and approval, which are not the trainer's."""
    others = {
        "instance_types", "instance_count", "spot", "volume_gib", "input_mode", "max_runtime_seconds",
        "max_wait_seconds", "gate", "approval", "approval_seconds",
    }  # fmt: skip
    assert set(TrainingSettings.model_fields) - others == set(HYPERPARAMETERS)


def test_the_job_has_a_metric_for_everything_that_the_trainer_tells(sandbox: Templates) -> None:
    definitions = training_job(sandbox)["AlgorithmSpecification"]["MetricDefinitions"]
    assert [metric["Name"] for metric in definitions] == list(metrics.NAMES)
    assert len(definitions) <= 40
    assert all(len(metric["Regex"]) <= 500 for metric in definitions)


def test_training_downloads_its_own_splits_and_evaluation_the_other(sandbox: Templates) -> None:
    dataset, images = training_job(sandbox)["InputDataConfig"]
    assert (dataset["ChannelName"], images["ChannelName"]) == ("dataset", "images")
    source = images["DataSource"]["S3DataSource"]
    assert (images["InputMode"], source["S3DataType"]) == ("File", "ManifestFile")
    assert "training-images.json" in source["S3Uri.$"]
    inputs = states(sandbox)["Evaluate"]["Parameters"]["ProcessingInputs.$"]
    assert inputs == "$.evaluation.processing_inputs"


def test_streamed_images_are_a_folder_and_manifests_are_not_streamed(configured: Callable[[str], Templates]) -> None:
    job = training_job(configured(STREAMED))
    dataset, images = job["InputDataConfig"]
    source = images["DataSource"]["S3DataSource"]
    assert (dataset["InputMode"], images["InputMode"]) == ("File", "FastFile")
    assert source["S3DataType"] == "S3Prefix"
    assert source["S3Uri"].endswith("/images/")
    assert job["ResourceConfig"]["InstanceCount"] == 4


def test_jobs_read_no_more_of_models_than_they_need_and_no_token(sandbox: Templates) -> None:
    training, evaluation = allowed(sandbox, "<JobRole"), allowed(sandbox, "EvaluationJobRole")
    assert training["s3:GetObject"] == {"datasets/*", "images/*", "models/*/checkpoints/*"}
    assert training["s3:DeleteObject"] == {"models/*/checkpoints/*"}
    assert evaluation["s3:GetObject"] == {"datasets/*", "images/*", "models/*/model.tar.gz"}
    assert training["s3:PutObject"] == evaluation["s3:PutObject"] == {"models/*"}
    assert "s3:DeleteObject" not in evaluation


def test_registering_a_model_may_read_its_image(sandbox: Templates) -> None:
    found = {one for statement in statements(sandbox["training"], "RegisterFunctionRole")
             if "Repository" in text(statement["Resource"]) for one in listed(statement["Action"])}  # fmt: skip
    assert found == {"ecr:BatchGetImage", "ecr:DescribeImages"}


def test_the_machine_outlives_all_its_attempts_and_the_person(configured: Callable[[str], Templates]) -> None:
    machine = definition(configured(MANUAL)["training"])
    person = max(getattr(rule, "le", 0) for rule in TrainingSettings.model_fields["approval_seconds"].metadata)
    attempts = 10 * machine["States"]["Train"]["TimeoutSeconds"]
    assert machine["TimeoutSeconds"] > attempts + person > 30 * 24 * 3600


def test_an_undecided_model_waits_for_a_person_and_nobodys_word_is_an_end_too(
    configured: Callable[[str], Templates],
) -> None:
    machine = states(configured(MANUAL))
    [undecided] = machine["Undecided"]["Choices"]
    assert (undecided["Variable"], undecided["StringEquals"]) == ("$.verdict.approval", "PendingManualApproval")
    assert (undecided["Next"], machine["Undecided"]["Default"]) == ("AwaitApproval", "Model")
    wait = machine["AwaitApproval"]
    assert wait["Resource"].endswith("lambda:invoke.waitForTaskToken")
    assert wait["TimeoutSeconds"] == TrainingSettings().approval_seconds
    assert [(one["ErrorEquals"], one["Next"]) for one in wait["Catch"]] == [(["States.Timeout"], "NobodyDecided")]
    nobody = machine["NobodyDecided"]
    assert (nobody["Parameters"]["accepted"], nobody["ResultPath"], nobody["Next"]) == (False, "$.verdict", "Model")


def test_decisions_about_this_projects_models_reach_the_function_that_knows_who_waits(
    configured: Callable[[str], Templates],
) -> None:
    templates = configured(MANUAL)
    rule = only(templates["training"], "AWS::Events::Rule")
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["reefloop"], "ModelApprovalStatus": ["Approved", "Rejected"]},
    }
    assert "ApprovalChanged" in text(rule["Targets"][0]["Arn"])
    for function in ("AwaitApproval", "ApprovalChanged"):
        may = allowed(templates, f"{function}FunctionRole")
        assert may["s3:GetObject"] == may["s3:PutObject"] == may["s3:DeleteObject"] == {"approvals/*"}
        assert "states:SendTaskSuccess" in may
        assert "states:SendTaskFailure" not in may


def test_without_a_person_nothing_of_this_is_there(sandbox: Templates) -> None:
    assert not resources(sandbox["training"], "AWS::Events::Rule")
    assert "AwaitApproval" not in states(sandbox)
    assert states(sandbox)["Register"]["Next"] == "Model"
