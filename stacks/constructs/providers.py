"""Who labels, as a round sees it: something that makes the states in which one chunk of one team is labeled."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from reefloop.labeling.ground_truth import KINDS
from settings import LabelingSettings, OperationsSettings
from stacks.constructs.function import Function
from stacks.constructs.ground_truth import LabelingJob, OwnPage, Team, algorithm_arn, public_team_arn
from stacks.constructs.labeling_team import TeamStates
from stacks.constructs.objects import grant_objects
from stacks.constructs.sagemaker import LABELING, JobRole, job_statements
from stacks.constructs.station import StationBatch
from stacks.constructs.workforce import Workforce


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


class GroundTruth:
    """Labeling jobs by a private workforce; labelers may be a vendor's or the public instead."""

    job_seconds = 30 * 24 * 3600  # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html

    def __init__(
        self,
        scope: Construct,
        *,
        kinds: Mapping[str, str],
        bucket: s3.IBucket,
        role: JobRole,
        settings: LabelingSettings,
        operations: OperationsSettings,
        tags: list[dict[str, str]],
    ) -> None:
        self._scope, self._kinds, self._bucket, self._role = scope, kinds, bucket, role
        self._settings, self._operations, self._tags = settings, operations, tags
        region, public = Stack.of(scope).region, settings.public_workforce
        others = settings.vendor_workteam_arn or (public_team_arn(region) if public else "")
        names = [c.EXPERTS] if others else [c.LABELERS, c.EXPERTS]
        self._workforce = Workforce(scope, "Workforce", existing=settings.workforce, teams=names)
        private = {name: team.attr_workteam_arn for name, team in self._workforce.teams.items()}
        self._teams = {
            c.LABELERS: Team(others or private[c.LABELERS], settings.workers_per_object, public),
            c.EXPERTS: Team(private[c.EXPERTS], settings.experts_per_object),
        }
        self._own_page = self._functions() if not KINDS[kinds[c.LABELERS]].function else None
        self.statements: Sequence[iam.PolicyStatement] = job_statements(scope, LABELING, role)
        algorithm = algorithm_arn(region, KINDS[kinds[c.LABELERS]])
        self.environment: Mapping[str, str] = {"ALGORITHM_ARN": algorithm} if settings.automated else {}
        if settings.automated:
            # The labeling job trains and runs its own model under the role that it has:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/sms-security-permission.html
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=["iam:PassRole"],
                    resources=[role.role_arn],
                    conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
                )
            )

    def job(self, states: TeamStates) -> sfn.IChainable:
        return LabelingJob(
            self._scope,
            f"{states.label}Chunk",
            kind_name=self._kinds[states.name],
            team=self._teams[states.name],
            team_name=states.name,
            own_page=self._own_page,
            bucket=self._bucket,
            role=self._role,
            settings=self._settings,
            tags=self._tags,
        )

    def begin(self, rest: sfn.IChainable) -> sfn.IChainable:
        return rest if self._settings.workforce else self._workforce.open_page(self._operations).next(rest)

    def _functions(self) -> OwnPage:
        """The functions of this project's own task. Ground Truth's managed policy would let the role invoke functions
        by parts of their names; the role has these two and no other."""
        page = OwnPage(
            before=self._function("PreAnnotation", "pre_annotation", read="gold/*"),
            after=self._function("ConsolidateAnnotations", "consolidate_annotations", read="rounds/*"),
        )
        arns = [page.before.function_arn, page.after.function_arn]
        self._role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=arns))
        return page

    def _function(self, name: str, handler: str, *, read: str) -> Function:
        function = Function(
            self._scope,
            f"{name}Function",
            handler=f"labeling.{handler}",
            environment={"DATA_BUCKET": self._bucket.bucket_name},
            operations=self._operations,
        )
        grant_objects(function, self._bucket, read=[read])
        return function


class Station:
    """This project's own labeling station, for accounts that Ground Truth does not take."""

    statements: Sequence[iam.PolicyStatement] = ()
    environment: Mapping[str, str] = {}

    def __init__(
        self,
        scope: Construct,
        *,
        kinds: Mapping[str, str],
        task: str,
        bucket: s3.IBucket,
        settings: LabelingSettings,
        operations: OperationsSettings,
    ) -> None:
        self._scope = scope
        self.job_seconds = settings.availability_seconds
        self._publish = Function(
            scope,
            "PublishBatchFunction",
            handler="labeling.publish_batch",
            environment={
                "DATA_BUCKET": bucket.bucket_name,
                "TASK": task,
                "LABELERS_TASK": kinds[c.LABELERS],
                "EXPERTS_TASK": kinds[c.EXPERTS],
                "WORKERS_PER_OBJECT": str(settings.workers_per_object),
                "EXPERTS_PER_OBJECT": str(settings.experts_per_object),
                "AVAILABILITY_SECONDS": str(settings.availability_seconds),
            },
            operations=operations,
        )
        grant_objects(self._publish, bucket, read=["gold/*"], write=["rounds/*"])

    def job(self, states: TeamStates) -> sfn.IChainable:
        return StationBatch(
            self._scope,
            f"{states.label}Chunk",
            publish=self._publish,
            team_name=states.name,
            availability_seconds=self.job_seconds,
        )

    def begin(self, rest: sfn.IChainable) -> sfn.IChainable:
        return rest
