"""The functions of training, but for Register: plans, attempts, the evaluation's inputs, the wait for a person."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reefloop import clients, storage
from reefloop.payloads import AwaitApprovalInput, NextAttemptInput, TrainingJobEnd, TrainingPlan, Verdict
from reefloop.training import approval_changed, await_approval, find_champion, next_attempt, prepare
from reefloop.training.next_attempt import InstancesMissing, TrainingFailed
from reefloop.training.prepare import DatasetMissing, DatasetUnsuitable
from tests.handlers.account import DATA, GROUP, Account

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:training:one"
SPOT = "ml.g5.xlarge for spot training job usage"
# As Step Functions tells of a call that SageMaker refused.
QUOTA: TrainingJobEnd = {
    "Error": "SageMaker.ResourceLimitExceededException",
    "Cause": f"The account-level service limit '{SPOT}' is 0 Instances, with current utilization of 0 Instances and a "
    "request delta of 1 Instances. Please use AWS Service Quotas to request an increase for this quota. "
    "(Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded)",
}


def failed(reason: str = "", *, secondary: str = "Failed") -> TrainingJobEnd:
    """As Step Functions tells of a job that did not complete: the job, described."""
    job = {"TrainingJobName": "job", "TrainingJobStatus": "Failed", "SecondaryStatus": secondary}
    return {"Error": "States.TaskFailed", "Cause": json.dumps({**job, **({"FailureReason": reason} if reason else {})})}


CAPACITY = failed(
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)


def first_plan(account: Account) -> TrainingPlan:
    account.put_json("datasets/d1/card.json", {})
    return prepare.handler({"dataset_version": "d1", "execution": EXECUTION, "redrives": 0}, None)


def after(plan: TrainingPlan, job: TrainingJobEnd, *, redrives: int = 0) -> TrainingPlan:
    return next_attempt.handler(NextAttemptInput(plan=plan, job=job, redrives=redrives), None)


class TestPrepare:
    def test_names_the_model_after_its_dataset_and_its_execution(self, account: Account) -> None:
        assert first_plan(account)["model_version"] == "d1-bd8845e4"

    def test_a_retried_execution_trains_the_same_version_and_another_one_another(self, account: Account) -> None:
        account.put_json("datasets/d1/card.json", {})
        first, again, other = (
            prepare.handler({"dataset_version": "d1", "execution": execution, "redrives": 0}, None)["model_version"]
            for execution in (EXECUTION, EXECUTION, EXECUTION + "2")
        )
        assert first == again != other

    def test_tries_every_type_on_spot_before_any_on_demand(self, account: Account) -> None:
        plan = first_plan(account)
        spot, demand = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}, {"MaxRuntimeInSeconds": 600}
        assert [
            (one["instance_type"], one["spot"], one["stopping_condition"])
            for one in [plan["attempt"], *plan["remaining"]]
        ] == [
            ("ml.g5.xlarge", True, spot),
            ("ml.g6.xlarge", True, spot),
            ("ml.g5.xlarge", False, demand),
            ("ml.g6.xlarge", False, demand),
        ]

    def test_without_spot_there_is_nothing_to_wait_for(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAX_WAIT_SECONDS", "0")
        plan = first_plan(account)
        assert [one["spot"] for one in [plan["attempt"], *plan["remaining"]]] == [False, False]

    @pytest.mark.parametrize("version", ["d1", ""])
    def test_asks_for_a_finished_dataset(self, account: Account, version: str) -> None:
        account.put("datasets/d1/train.manifest", b"")
        with pytest.raises(DatasetMissing, match=f"dataset version '{version}' has no .*card.json"):
            prepare.handler({"dataset_version": version, "execution": EXECUTION, "redrives": 0}, None)

    def test_refuses_a_dataset_of_boxes(self, account: Account) -> None:
        account.put_json("datasets/d1/card.json", {"task": "detection"})
        with pytest.raises(DatasetUnsuitable, match="'d1' is one for detection, and training makes classifiers only"):
            prepare.handler({"dataset_version": "d1", "execution": EXECUTION, "redrives": 0}, None)


class TestNextAttempt:
    def test_goes_on_to_the_next_type_and_names_the_quota_to_raise(self, account: Account) -> None:
        first = first_plan(account)
        plan = after(first, QUOTA)
        assert (plan["model_version"], plan["attempt"], plan["remaining"]) == (
            first["model_version"],
            first["remaining"][0],
            first["remaining"][1:],
        )
        assert plan["refusals"] == [f"ml.g5.xlarge on spot: the quota is 0: ask Service Quotas for 1 '{SPOT}'"]

    def test_asks_for_as_many_instances_as_are_missing(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INSTANCE_COUNT", "4")
        used = {
            **QUOTA,
            "Cause": QUOTA["Cause"].replace("is 0", "is 5").replace("utilization of 0", "utilization of 3"),
        }
        [refusal] = after(first_plan(account), used)["refusals"]
        assert refusal.endswith(f"the quota is 5 with 3 in use: ask Service Quotas for 7 '{SPOT}'")

    @pytest.mark.parametrize("error", ["SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded"])
    def test_names_the_quota_itself_where_the_service_does_not(self, account: Account, error: str) -> None:
        cause = "The requested resource training-job/ml.g5.xlarge is not available in this region"
        [refusal] = after(first_plan(account), {"Error": error, "Cause": cause})["refusals"]
        assert refusal.endswith(f"{cause}: if this region has the type, ask Service Quotas for 1 '{SPOT}'")

    @pytest.mark.parametrize(
        "job",
        [
            CAPACITY,
            failed("InsufficientInstanceCapacity: none left"),
            {
                "Error": "States.TaskFailed",
                "Cause": '{"TrainingJobName": "job", "FailureReason": "CapacityError: cut off',
            },
            failed("InternalServerError: We encountered an internal error. Please try again."),
            failed(secondary="MaxWaitTimeExceeded"),
            {"Error": "SageMaker.AmazonSageMakerException", "Cause": "Unsupported instance type ml.g5.xlarge"},
            {"TrainingJobName": "job", "TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"},
        ],
    )
    def test_other_instances_are_tried_where_there_were_none(self, account: Account, job: TrainingJobEnd) -> None:
        plan = after(first_plan(account), job)
        assert plan["attempt"]["instance_type"] == "ml.g6.xlarge"
        assert len(plan["refusals"]) == 1

    def test_one_sentence_names_every_attempt_when_none_is_left(self, account: Account) -> None:
        plan = first_plan(account)
        for job in (QUOTA, CAPACITY, QUOTA):
            plan = after(plan, job)
        with pytest.raises(InstancesMissing) as missing:
            after(plan, CAPACITY)
        for where in (
            "ml.g5.xlarge on spot",
            "ml.g6.xlarge on spot",
            "ml.g5.xlarge on demand",
            "ml.g6.xlarge on demand",
        ):
            assert f"{where}: " in str(missing.value)

    @pytest.mark.parametrize(
        ("job", "reason"),
        [
            (failed("AlgorithmError: the loss is not a number, exit code: 1"), "^AlgorithmError: the loss is not a"),
            (failed("AlgorithmError: unknown class 'CapacityError', exit code: 1"), "^AlgorithmError: unknown class"),
            (failed(secondary="MaxRuntimeExceeded"), "longer than training.max_runtime_seconds: redrive"),
            (failed(secondary="Stopped"), "somebody stopped the training job"),
            ({"Error": "States.Timeout", "Cause": ""}, "outlived its own time limits"),
            ({"Error": "States.TaskFailed", "Cause": '{"FailureReason": null}'}, "^States.TaskFailed: "),
            (
                {"Error": "SageMaker.AmazonSageMakerException", "Cause": "could not assume role"},
                "^SageMaker.AmazonSageMakerException: could not assume role$",
            ),
        ],
    )
    def test_what_other_instances_would_not_mend_fails_with_its_reason(
        self, account: Account, job: TrainingJobEnd, reason: str
    ) -> None:
        with pytest.raises(TrainingFailed, match=reason):
            after(first_plan(account), job)

    def test_a_redriven_execution_trains_again_from_the_first_attempt(self, account: Account) -> None:
        first = first_plan(account)
        again = after(after(first, QUOTA), failed("AlgorithmError: no gold"), redrives=1)
        assert again == {**first, "redrives": 1}
        with pytest.raises(TrainingFailed):
            after(again, failed("AlgorithmError: no gold"), redrives=1)


class TestFindChampion:
    def inputs(self, account: Account) -> dict[str, tuple[str, str]]:
        event: find_champion.Event = {"model_version": "m2", "dataset_version": "d1", "training_job": "reefloop-job"}
        plan: Any = find_champion.handler(event, None)["processing_inputs"]
        return {one["InputName"]: (one["S3Input"]["S3Uri"], one["S3Input"]["S3DataType"]) for one in plan}

    def test_the_first_model_is_judged_alone_on_the_test_split(self, account: Account) -> None:
        assert self.inputs(account) == {
            "model": (f"s3://{DATA}/models/m2/reefloop-job/output/model.tar.gz", "S3Prefix"),
            "dataset": (f"s3://{DATA}/datasets/d1/", "S3Prefix"),
            "images": (f"s3://{DATA}/datasets/d1/test-images.json", "ManifestFile"),
        }

    def test_the_champion_is_the_newest_approved_model_besides_this_one(self, account: Account) -> None:
        account.register("m0")
        account.register("m1", approved=False)
        account.register("m2")
        assert self.inputs(account)["champion"] == (f"s3://{DATA}/models/m0/model.tar.gz", "S3Prefix")


class Tokens:
    """Step Functions, as far as task tokens go: each can be answered once."""

    def __init__(self) -> None:
        self.open = {"token"}
        self.answers: list[Verdict] = []

    def send_task_success(self, *, taskToken: str, output: str) -> None:
        if taskToken not in self.open:
            raise ClientError({"Error": {"Code": "TaskTimedOut", "Message": "gone"}}, "SendTaskSuccess")
        self.open.remove(taskToken)
        self.answers.append(json.loads(output))


@pytest.fixture
def tokens(account: Account, monkeypatch: pytest.MonkeyPatch) -> Tokens:
    tokens, stock = Tokens(), clients.client
    monkeypatch.setattr(clients, "client", lambda name: tokens if name == "stepfunctions" else stock(name))
    return tokens


class TestApproval:
    def wait(self, account: Account, status: str = "PendingManualApproval") -> str:
        """Register a model with a status and wait for a person's word; returns its ARN."""
        arn: str = account.sagemaker.create_model_package(
            ModelPackageGroupName=GROUP, ModelPackageDescription="m1", ModelApprovalStatus=status
        )["ModelPackageArn"]
        verdict = Verdict(
            accepted=True, reasons=["test accuracy 0.9"], approval="PendingManualApproval", model_package_arn=arn
        )
        await_approval.handler(AwaitApprovalInput(verdict=verdict, token="token"), None)
        return arn

    def decide(self, account: Account, arn: str, status: str, description: str = "") -> None:
        account.sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=description
        )
        approval_changed.handler({"detail": {"ModelPackageArn": arn}}, None)

    @pytest.mark.parametrize(("status", "accepted"), [("Approved", True), ("Rejected", False)])
    def test_a_persons_decision_lets_the_execution_go_on(
        self, account: Account, tokens: Tokens, status: str, accepted: bool
    ) -> None:
        arn = self.wait(account)
        assert account.keys(DATA).count("approvals/1.json") == 1

        self.decide(account, arn, status, "seen by the biologist")

        [verdict] = tokens.answers
        assert (verdict["accepted"], verdict["approval"]) == (accepted, status)
        assert verdict["reasons"] == [
            "test accuracy 0.9",
            f"{status.lower()} in the registry by a person: seen by the biologist",
        ]
        assert "approvals/1.json" not in account.keys(DATA)

    def test_who_decided_before_anything_waited_is_heard_as_well(self, account: Account, tokens: Tokens) -> None:
        self.wait(account, status="Approved")
        assert [verdict["accepted"] for verdict in tokens.answers] == [True]

    def test_who_was_busy_with_an_older_token_does_not_leave_the_new_one_unanswered(
        self, account: Account, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = storage.write_json

        def taken_away(bucket: str, key: str, value: object) -> None:
            write(bucket, key, value)
            storage.delete(bucket, key)

        monkeypatch.setattr(storage, "write_json", taken_away)
        self.wait(account, status="Approved")
        assert [verdict["accepted"] for verdict in tokens.answers] == [True]

    def test_an_event_that_comes_twice_answers_once(self, account: Account, tokens: Tokens) -> None:
        arn = self.wait(account)
        self.decide(account, arn, "Approved")
        approval_changed.handler({"detail": {"ModelPackageArn": arn}}, None)
        assert len(tokens.answers) == 1

    def test_an_answer_that_comes_too_late_does_no_harm(self, account: Account, tokens: Tokens) -> None:
        arn = self.wait(account)
        tokens.open.clear()
        self.decide(account, arn, "Approved")
        assert tokens.answers == []
        assert "approvals/1.json" not in account.keys(DATA)

    def test_models_that_nobody_waits_for_or_decided_about_are_left_alone(
        self, account: Account, tokens: Tokens
    ) -> None:
        arn = self.wait(account)
        approval_changed.handler({"detail": {"ModelPackageArn": arn}}, None)
        approval_changed.handler({"detail": {"ModelPackageArn": arn.replace("/1", "/7")}}, None)
        assert tokens.answers == []
        assert "approvals/1.json" in account.keys(DATA)
