"""State machines of the offline account: what moto's interpreter lacks, added or mended."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from offline.account import Account
from offline.services.sagemaker import jobs
from offline.step_functions.integrations import ACCEPTED, JOBS, refused_parameters
from tests.offline.bench import Bench, any_name, status, until

SUCCEED = "print('done')"
# The job names of this project: a hash of the execution, the state, the item, the attempt and the redrive.
JOB_NAME = (
    "States.Format('reefloop-labeling-{}', States.Hash(States.Format('{} {} {} {} {}', $$.Execution.Id, "
    "$$.State.Name, $.item, $$.State.RetryCount, $$.Execution.RedriveCount), 'SHA-1'))"
)
PROCESSING = "arn:aws:states:::sagemaker:createProcessingJob.sync"


@pytest.fixture(scope="module")
def bench(account: Account) -> Bench:
    return Bench(account)


@pytest.fixture(scope="module")
def image(bench: Bench) -> str:
    return bench.image(SUCCEED)


def processing(bench: Bench, image: str, *, name: str | None = None, **state: Any) -> dict[str, Any]:
    """A task that runs a processing job, named by the project's expression unless it has a name."""
    parameters: dict[str, Any] = {
        "RoleArn": bench.role,
        "AppSpecification": {"ImageUri": image},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
        **({"ProcessingJobName": name} if name else {"ProcessingJobName.$": JOB_NAME}),
    }
    return {"Type": "Task", "Resource": PROCESSING, "Parameters": parameters, "End": True, **state}


def job_names(bench: Bench, execution: str) -> list[str]:
    """The names of the jobs that an execution asked for, in this order."""
    scheduled = [event for event in bench.history(execution) if event["type"] == "TaskScheduled"]
    return [json.loads(event["taskScheduledEventDetails"]["parameters"])["ProcessingJobName"] for event in scheduled]


def test_a_job_task_returns_the_job_at_its_end(bench: Bench, image: str) -> None:
    ended = bench.execute(bench.machine(Score=processing(bench, image)), {"item": "0"})

    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["ProcessingJobStatus"] == "Completed"
    assert ended["output"]["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] == 30


def test_a_failed_job_fails_its_task_and_the_cause_describes_the_job(bench: Bench, image: str) -> None:
    bench.faults.fail_job("processing", "AlgorithmError: out of luck")

    ended = bench.execute(bench.machine(Score=processing(bench, image)), {"item": "0"})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended["cause"])
    assert (cause["ProcessingJobStatus"], cause["FailureReason"]) == ("Failed", "AlgorithmError: out of luck")


def test_a_retried_task_gets_a_new_job_name(bench: Bench, image: str) -> None:
    bench.faults.fail_job("processing", "AlgorithmError: the first time")
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}]

    ended = bench.execute(bench.machine(Score=processing(bench, image, Retry=retry)), {"item": "0"})

    assert ended["status"] == "SUCCEEDED"
    first, second = job_names(bench, ended["executionArn"])
    assert first != second


def test_a_redrive_goes_on_at_the_failed_state_with_a_new_job_name(bench: Bench, image: str) -> None:
    bench.faults.fail_job("processing", "AlgorithmError: the first time")
    machine = bench.machine(
        Before={"Type": "Pass", "Parameters": {"item": "0", "from.$": "$.item"}, "Next": "Score"},
        Score=processing(bench, image, ResultPath="$.job"),
    )
    failed = bench.execute(machine, {"item": "given"})
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE")

    bench.stepfunctions.redrive_execution(executionArn=failed["executionArn"])
    ended = bench.ended(failed["executionArn"])

    assert (ended["status"], ended["redriveCount"]) == ("SUCCEEDED", 1)
    assert ended["output"]["from"] == "given"
    first, second = job_names(bench, ended["executionArn"])
    assert first != second
    types = [event["type"] for event in bench.history(ended["executionArn"])]
    assert types.count("PassStateEntered") == 1
    assert types.count("ExecutionRedriven") == 1


def test_an_execution_that_succeeded_cannot_be_redriven(bench: Bench) -> None:
    ended = bench.execute(bench.machine(Only={"Type": "Pass", "End": True}))

    with pytest.raises(ClientError) as refused:
        bench.stepfunctions.redrive_execution(executionArn=ended["executionArn"])

    assert refused.value.response["Error"]["Code"] == "ExecutionNotRedrivable"


def test_job_names_fit_however_long_the_name_of_the_execution(bench: Bench, image: str) -> None:
    name = "n" * 80
    ended = bench.ended(bench.start(bench.machine(Score=processing(bench, image)), {"item": "0"}, name=name))

    assert ended["status"] == "SUCCEEDED"
    [job] = job_names(bench, ended["executionArn"])
    assert len(job) <= 63


@pytest.mark.parametrize("name", ["n" * 81, "a b", "a:b"])
def test_a_name_that_executions_cannot_have_is_refused(bench: Bench, name: str) -> None:
    machine = bench.machine(Only={"Type": "Pass", "End": True})

    with pytest.raises(ClientError) as refused:
        bench.start(machine, name=name)

    assert refused.value.response["Error"]["Code"] in ("InvalidName", "ValidationException")


def test_executions_without_a_name_get_one_each(bench: Bench) -> None:
    machine = bench.machine(Only={"Type": "Pass", "End": True})

    first, second = bench.ended(bench.start(machine)), bench.ended(bench.start(machine))

    assert first["name"] != second["name"]
    assert "None" not in first["executionArn"]


def test_the_items_of_a_map_have_jobs_of_their_own(bench: Bench, image: str) -> None:
    machine = bench.machine(
        Chunks={
            "Type": "Map",
            "ItemsPath": "$.chunks",
            "ItemSelector": {"item.$": "States.Format('{}', $$.Map.Item.Index)"},
            "ItemProcessor": {"StartAt": "Score", "States": {"Score": processing(bench, image)}},
            "End": True,
        }
    )

    ended = bench.execute(machine, {"chunks": ["a", "b", "c"]})

    assert ended["status"] == "SUCCEEDED"
    assert len({job["ProcessingJobName"] for job in ended["output"]}) == 3


def test_an_item_that_fails_ends_its_map_and_the_jobs_of_the_other_items(
    bench: Bench, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one does not fail before the other has its job, on a busy machine either.
    monkeypatch.setattr(jobs, "FIRST_STATE_SECONDS", 3)
    stalled = any_name("stalled")
    bench.faults.stall_job("processing", match=lambda job: job["ProcessingJobName"] == stalled)
    bench.faults.fail_job("processing", "AlgorithmError: bad chunk")
    score = processing(bench, image)
    score["Parameters"]["ProcessingJobName.$"] = "$"
    machine = bench.machine(
        Chunks={
            "Type": "Map",
            "ItemsPath": "$.names",
            "ItemProcessor": {"StartAt": "Score", "States": {"Score": score}},
            "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}],
            "End": True,
        },
        Caught={"Type": "Pass", "End": True},
    )

    ended = bench.execute(machine, {"names": [stalled, any_name("failing")]})

    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]["Cause"])["FailureReason"] == "AlgorithmError: bad chunk"
    assert status(bench.job("processing", stalled)) == "Stopped"


def test_a_stopped_execution_is_aborted_in_its_history(bench: Bench) -> None:
    wait = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
    execution = bench.start(bench.machine(Each={"Type": "Map", "ItemProcessor": wait, "End": True}), [1, 2])

    def types() -> list[str]:
        return [event["type"] for event in bench.history(execution)]

    until(types, lambda seen: seen.count("WaitStateEntered") == 2)
    bench.stepfunctions.stop_execution(executionArn=execution)

    assert "ExecutionFailed" not in until(types, lambda seen: "ExecutionAborted" in seen)


def test_a_nested_execution_returns_its_output_parsed(bench: Bench) -> None:
    child = bench.machine(Only={"Type": "Pass", "Parameters": {"twice.$": "States.Array($.n, $.n)"}, "End": True})
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Input": {"n.$": "$.n"}},
        "OutputPath": "$.Output",
        "End": True,
    }

    assert bench.execute(bench.machine(Child=nested), {"n": 2})["output"] == {"twice": [2, 2]}


def test_a_failed_nested_execution_fails_its_task_and_the_cause_describes_it(bench: Bench) -> None:
    child = bench.machine(Only={"Type": "Fail", "Error": "NoGold", "Cause": "there is no gold manifest"})
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child},
        "End": True,
    }

    ended = bench.execute(bench.machine(Child=nested))

    assert ended["error"] == "States.TaskFailed"
    cause = json.loads(ended["cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "NoGold", "there is no gold manifest")


def test_stopping_an_execution_stops_the_job_of_a_nested_execution(bench: Bench, image: str) -> None:
    bench.faults.stall_job("processing")
    name = any_name("stalled")
    child = bench.machine(Score=processing(bench, image, name=name))
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child},
        "End": True,
    }
    execution = bench.start(bench.machine(Child=nested))
    until(lambda: bench.sagemaker.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"], bool)

    bench.stepfunctions.stop_execution(executionArn=execution, error="Enough", cause="a person said so")

    ended = bench.ended(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Enough", "a person said so")
    assert status(bench.job("processing", name)) == "Stopped"


def test_a_task_that_takes_longer_than_its_timeout_stops_its_job(bench: Bench, image: str) -> None:
    bench.faults.stall_job("processing")
    name = any_name("late")

    ended = bench.execute(bench.machine(Score=processing(bench, image, name=name, TimeoutSeconds=1)))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert status(bench.job("processing", name)) == "Stopped"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ResourceLimitExceeded", "SageMaker.ResourceLimitExceededException"),
        ("ResourceInUse", "SageMaker.ResourceInUseException"),
        ("ThrottlingException", "SageMaker.AmazonSageMakerException"),
    ],
)
def test_a_refused_job_fails_its_task_by_the_name_that_aws_gives(
    bench: Bench, image: str, code: str, error: str
) -> None:
    bench.faults.refuse("sagemaker:CreateProcessingJob", code, "not today")
    caught = {"Type": "Pass", "End": True}
    catch = [{"ErrorEquals": [error], "Next": "Caught"}]

    ended = bench.execute(bench.machine(Score=processing(bench, image, Catch=catch), Caught=caught), {"item": "0"})

    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["Error"] == error
    assert "not today" in ended["output"]["Cause"]


def test_a_missing_image_is_caught_by_the_name_that_aws_gives(bench: Bench) -> None:
    find = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecr:describeImages",
        "Parameters": {"RepositoryName": "bench-jobs", "ImageIds": [{"ImageTag": "missing"}]},
        "Catch": [{"ErrorEquals": ["Ecr.ImageNotFoundException"], "Next": "Build"}],
        "End": True,
    }

    ended = bench.execute(bench.machine(Find=find, Build={"Type": "Pass", "Result": "to build", "End": True}))

    assert ended["output"] == "to build"


def test_sdk_tasks_take_and_give_pascal_case(bench: Bench, image: str) -> None:
    find = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecr:describeImages",
        "Parameters": {"RepositoryName": "bench-jobs", "ImageIds": [{"ImageTag": image.rpartition(":")[2]}]},
        "End": True,
    }

    [found] = bench.execute(bench.machine(Find=find))["output"]["ImageDetails"]

    assert image.rpartition(":")[2] in found["ImageTags"]
    assert found["RegistryId"] == "123456789012"


def test_sdk_tasks_refuse_a_field_that_the_api_does_not_have(bench: Bench) -> None:
    find = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecr:describeImages",
        "Parameters": {"RepositoryName": "bench-jobs", "Images": []},
        "End": True,
    }

    ended = bench.execute(bench.machine(Find=find))

    assert ended["error"] == "States.Runtime"
    assert 'The field "Images" is not supported by Step Functions' in ended["cause"]


def test_a_build_task_returns_the_build_and_takes_overrides(bench: Bench, image: str) -> None:
    project = image.rpartition(":")[2]
    uri = image.replace(f":{project}", ":other")
    build = {
        "Type": "Task",
        "Resource": "arn:aws:states:::codebuild:startBuild.sync",
        "Parameters": {
            "ProjectName": project,
            "EnvironmentVariablesOverride": [{"Name": "IMAGE_URI", "Value": uri, "Type": "PLAINTEXT"}],
        },
        "End": True,
    }

    ended = bench.execute(bench.machine(Build=build))

    assert ended["output"]["Build"]["BuildStatus"] == "SUCCEEDED"
    [found] = bench.ecr.describe_images(repositoryName="bench-jobs", imageIds=[{"imageTag": "other"}])["imageDetails"]
    assert "other" in found["imageTags"]


def test_a_field_that_the_optimized_integration_does_not_take_is_refused_at_creation(bench: Bench, image: str) -> None:
    train = processing(bench, image)
    train["Resource"] = "arn:aws:states:::sagemaker:createTrainingJob.sync"
    train["Parameters"] = {"TrainingJobName": "t", "RetryStrategy": {"MaximumRetryAttempts": 2}}

    with pytest.raises(ClientError) as refused:
        bench.machine(Train=train)

    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidDefinition"
    assert 'The field "RetryStrategy" is not supported by Step Functions at /States/Train' in error["Message"]


def test_every_job_integration_says_what_it_accepts() -> None:
    assert {integration.partition(".")[0] for integration in JOBS} <= ACCEPTED.keys()


def test_refusals_are_found_at_any_depth() -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::codebuild:startBuild.sync", "Parameters": {"Nonsense.$": "$"}}
    inner = {"StartAt": "Build", "States": {"Build": task}}
    machine = {
        "States": {
            "Each": {"Type": "Map", "ItemProcessor": inner},
            "Both": {"Type": "Parallel", "Branches": [inner]},
        }
    }

    refusals = list(refused_parameters(json.dumps(machine)))

    assert [refusal.rpartition(" at ")[2] for refusal in refusals] == [
        "/States/Each/ItemProcessor/States/Build",
        "/States/Both/Branches[0]/States/Build",
    ]
