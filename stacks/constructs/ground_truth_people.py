from collections.abc import Mapping, Sequence

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
from stacks.constructs.labeling_team import TeamStates, task_names
from stacks.constructs.objects import grant_objects
from stacks.constructs.sagemaker import LABELING, JobRole, job_statements, job_tags
from stacks.constructs.workforce import Workforce


class GroundTruthPeople:
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
    ) -> None:
        self._scope, self._kinds, self._bucket, self._role = scope, kinds, bucket, role
        self._settings, self._operations = settings, operations
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
        self.environment: Mapping[str, str] = task_names(kinds)
        if settings.automated:
            algorithm = algorithm_arn(region, KINDS[kinds[c.LABELERS]])
            self.environment = {**self.environment, "ALGORITHM_ARN": algorithm}
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
            automated=self._settings.automated and states.name == c.LABELERS,
            own_page=self._own_page,
            bucket=self._bucket,
            role=self._role,
            settings=self._settings,
            tags=job_tags("labeling", round_=True),
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
