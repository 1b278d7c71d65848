"""Who labels, as a round sees it: something that makes the states in which one chunk of one team is labeled."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop.labeling.ground_truth import kinds_of
from settings import LabelingSettings, OperationsSettings
from stacks.constructs.ground_truth_people import GroundTruthPeople
from stacks.constructs.labeling_team import TeamStates
from stacks.constructs.sagemaker import JobRole
from stacks.constructs.station import StationPeople


class Provider(Protocol):
    """`statements` are what the state machine needs beside what its tasks are granted; `environment` is for the
    functions that write tasks; `job_seconds` is how long one job waits for people at most."""

    statements: Sequence[iam.PolicyStatement]
    environment: Mapping[str, str]
    job_seconds: int

    def job(self, states: TeamStates) -> sfn.IChainable:
        """The states in which one chunk of a team is labeled."""

    def begin(self, rest: sfn.IChainable) -> sfn.IChainable:
        """What has to happen at the start of a round, and then the rest of it."""


def provider_of(
    scope: Construct,
    *,
    task: str,
    bucket: s3.IBucket,
    role: JobRole,
    settings: LabelingSettings,
    operations: OperationsSettings,
) -> Provider | None:
    """The people of the settings; None when labels are imported."""
    if settings.provider == "ground-truth":
        kinds = kinds_of(task, page=settings.page, review=settings.review)
        return GroundTruthPeople(scope, kinds=kinds, bucket=bucket, role=role, settings=settings, operations=operations)
    if settings.provider == "station":
        # The station asks for boxes once more, blindly: it shows nobody's.
        kinds = kinds_of(task, page="built-in", review="")
        return StationPeople(scope, kinds=kinds, task=task, bucket=bucket, settings=settings, operations=operations)
    return None
