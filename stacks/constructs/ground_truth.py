"""One Ground Truth labeling job as an item of a Map: what is asked, of whom, and how its end is told.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from reefloop.labeling.ground_truth import ACCOUNTS, ALGORITHM_ACCOUNT, KINDS, TaskKind, price
from settings import LabelingSettings, PublicWorkforceSettings
from stacks.constructs.function import Function
from stacks.constructs.paths import at, job_name, path
from stacks.constructs.sagemaker import LABELING, JobRole, run_job

PUBLIC_ACCOUNT: Final = "394669845002"


@dataclass(frozen=True)
class Team:
    """Who is asked, and how many of them about each object. `public` is set for the public workforce only."""

    arn: str
    people_per_object: int
    public: PublicWorkforceSettings | None = None


@dataclass(frozen=True)
class OwnPage:
    """The functions before and after the people, where the page is this project's own."""

    before: Function
    after: Function


def public_team_arn(region: str) -> str:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/sms-workforce-management-public.html"""
    return f"arn:aws:sagemaker:{region}:{PUBLIC_ACCOUNT}:workteam/public-crowd/default"


def algorithm_arn(region: str, kind: TaskKind) -> str:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_LabelingJobAlgorithmsConfig.html"""
    return f"arn:aws:sagemaker:{region}:{ALGORITHM_ACCOUNT}:labeling-job-algorithm-specification/{kind.algorithm}"


class LabelingJob(sfn.StateMachineFragment):
    """A labeling job that tells how it ended and never fails its Map: what was caught is a result like another.

    With `automated`, chunks that name an algorithm are labeled with its help.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        kind_name: str,
        team: Team,
        team_name: str,
        automated: bool,
        own_page: OwnPage | None,
        bucket: s3.IBucket,
        role: JobRole,
        settings: LabelingSettings,
        tags: Sequence[Mapping[str, str]],
    ) -> None:
        super().__init__(scope, f"{construct_id}Job")
        self._scope = scope
        kind = KINDS[kind_name]
        request: dict[str, Any] = {
            # State and chunk repeat when unanswered objects are offered again: the attempt tells the jobs apart.
            "LabelingJobName.$": job_name("labeling", sfn.JsonPath.format("{} {}", at(c.ATTEMPT), at(c.INDEX))),
            "LabelAttributeName": c.LABEL_ATTRIBUTE + kind.attribute_suffix,
            "LabelCategoryConfigS3Uri.$": path(c.CATEGORIES_URI),
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri.$": path(c.CHUNK, c.MANIFEST_URI)}}},
            "OutputConfig": {
                "S3OutputPath.$": sfn.JsonPath.format(
                    bucket.s3_url_for_object(c.round_key("{}", f"{c.LABELING_JOBS_FOLDER}{team_name}")), at(c.ROUND)
                )
            },
            "RoleArn": role.role_arn,
            "HumanTaskConfig": _human_task(Stack.of(scope).region, kind, team, own_page, settings),
            "Tags": list(tags),
        }
        if team.public:
            # Without this promise a job for the public fails.
            request["InputConfig"]["DataAttributes"] = {
                "ContentClassifiers": ["FreeOfPersonallyIdentifiableInformation", "FreeOfAdultContent"]
            }
        told = sfn.Pass(scope, f"{construct_id}Failed", comment="The error is the job's result")
        self._ends: list[sfn.INextable] = [told]
        self._start: sfn.State = self._job(construct_id, request, told)
        if automated:
            alone = self._job(
                f"{construct_id}Automated",
                request | {"LabelingJobAlgorithmsConfig.$": path(c.CHUNK, c.ALGORITHMS)},
                told,
            )
            self._start = (
                sfn.Choice(scope, f"{construct_id}LargeEnough")
                .when(sfn.Condition.is_present(path(c.CHUNK, c.ALGORITHMS)), alone)
                .otherwise(self._start)
            )

    def _job(self, construct_id: str, request: Mapping[str, Any], told: sfn.Pass) -> sfn.CustomState:
        job = run_job(
            self._scope,
            construct_id,
            kind=LABELING,
            request=request,
            selector={name + ".$": f"$.{name}" for name in ("LabelingJobName", "LabelCounters", "LabelingJobOutput")},
        )
        job.add_catch(told)
        self._ends.append(job)
        return job

    @property
    def start_state(self) -> sfn.State:
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        return self._ends


def _human_task(
    region: str, kind: TaskKind, team: Team, own_page: OwnPage | None, settings: LabelingSettings
) -> dict[str, Any]:
    functions = f"arn:aws:lambda:{region}:{ACCOUNTS[region]}:function"
    before, after = f"{functions}:PRE-{kind.function}", f"{functions}:ACS-{kind.function}"
    if own_page:
        before, after = own_page.before.function_arn, own_page.after.function_arn
    task = {
        "WorkteamArn": team.arn,
        "UiConfig": {"UiTemplateS3Uri.$": path(c.TEMPLATE_URI)},
        "PreHumanTaskLambdaArn": before,
        "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": after},
        "TaskTitle": kind.title,
        "TaskDescription": kind.description,
        "TaskKeywords": ["marine life", "species", "underwater images"],
        "NumberOfHumanWorkersPerDataObject": team.people_per_object,
        "TaskTimeLimitInSeconds": settings.task_seconds,
        "TaskAvailabilityLifetimeInSeconds": settings.availability_seconds,
        "MaxConcurrentTaskCount": 1000,
    }
    return task | ({"PublicWorkforceTaskPrice": {"AmountInUsd": price(team.public.price_usd)}} if team.public else {})
