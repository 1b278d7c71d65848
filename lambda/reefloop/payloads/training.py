"""Payloads of training: its input and output, what its functions return, and the verdict."""

from typing import Literal, TypedDict


class TrainingInput(TypedDict):
    dataset_version: str


class TrainingOutput(TypedDict):
    model_version: str
    accepted: bool
    reasons: list[str]


class Attempt(TypedDict):
    """One way to get instances for the training; `stopping_condition` is CreateTrainingJob's, in its own words."""

    instance_type: str
    spot: bool
    stopping_condition: dict[str, int]


class TrainingPlan(TypedDict):
    """`attempt` is the one to make now, `remaining` are those after it, `refusals` says why each earlier one failed.
    `redrives` is how often the execution had been redriven when the plan was made."""

    model_version: str
    attempt: Attempt
    remaining: list[Attempt]
    refusals: list[str]
    redrives: int


class TrainingJobEnd(TypedDict, total=False):
    """How one training job ended: what its state selects of the job, or the error that was caught."""

    TrainingJobName: str
    TrainingJobStatus: str
    SecondaryStatus: str
    Error: str
    Cause: str


class NextAttemptInput(TypedDict):
    plan: TrainingPlan
    job: TrainingJobEnd
    redrives: int


class EvaluationPlan(TypedDict):
    """`processing_inputs` are the ProcessingInputs of the evaluation: they differ with and without a champion."""

    processing_inputs: list[dict[str, object]]


Approval = Literal["Approved", "Rejected", "PendingManualApproval"]


class Verdict(TypedDict):
    """What the gate says, and with `approval` what the model registry says."""

    accepted: bool
    reasons: list[str]
    approval: Approval
    model_package_arn: str


class AwaitApprovalInput(TypedDict):
    """What approvals/<number>.json holds as well: the gate's verdict, and what the person's answer is awaited under."""

    verdict: Verdict
    token: str
