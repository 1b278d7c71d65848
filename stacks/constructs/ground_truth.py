from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from reefloop.labeling import ground_truth
from settings import LabelingSettings
from stacks.constructs.paths import at, job_name, path
from stacks.constructs.sagemaker import LABELING, JobRole, run_job


class LabelingJobs(sfn.Map):
    """A Ground Truth labeling job per chunk of a round: built-in image classification by a private workteam."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: s3.IBucket,
        team: sagemaker.CfnWorkteam,
        role: JobRole,
        settings: LabelingSettings,
        tags: list[dict[str, str]],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            items_path=path(c.TASKS, c.CHUNKS),
            item_selector={
                c.ROUND: at(c.ROUND),
                c.TEMPLATE_URI: at(c.TASKS, c.TEMPLATE_URI),
                c.MANIFEST_URI: sfn.JsonPath.string_at(f"$$.Map.Item.Value.{c.MANIFEST_URI}"),
                c.CHUNK: sfn.JsonPath.string_at("$$.Map.Item.Index"),
            },
            result_path=path(c.JOBS),
        )
        region = Stack.of(scope).region
        request = {
            "LabelingJobName.$": job_name("labeling", at(c.CHUNK)),
            "LabelAttributeName": c.LABEL_ATTRIBUTE,
            "LabelCategoryConfigS3Uri": bucket.s3_url_for_object(c.LABEL_CATEGORIES),
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri.$": path(c.MANIFEST_URI)}}},
            "OutputConfig": {
                "S3OutputPath.$": sfn.JsonPath.format(
                    bucket.s3_url_for_object(c.round_key("{}", "labeling-jobs")), at(c.ROUND)
                )
            },
            "RoleArn": role.role_arn,
            "HumanTaskConfig": _human_task(region, team, settings),
            "Tags": tags,
        }
        self.item_processor(
            run_job(
                scope,
                f"{construct_id}Chunk",
                kind=LABELING,
                request=request,
                selector={
                    "LabelingJobName.$": "$.LabelingJobName",
                    "LabelCounters.$": "$.LabelCounters",
                    "OutputDatasetS3Uri.$": "$.LabelingJobOutput.OutputDatasetS3Uri",
                },
                result=c.JOB,
            )
        )


def _human_task(region: str, team: sagemaker.CfnWorkteam, settings: LabelingSettings) -> dict[str, Any]:
    functions = f"arn:aws:lambda:{region}:{ground_truth.ACCOUNTS[region]}:function"
    return {
        "WorkteamArn": team.attr_workteam_arn,
        "UiConfig": {"UiTemplateS3Uri.$": path(c.TEMPLATE_URI)},
        "PreHumanTaskLambdaArn": f"{functions}:PRE-ImageMultiClass",
        "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": f"{functions}:ACS-ImageMultiClass"},
        "TaskTitle": "Which animal is this?",
        "TaskDescription": "Choose the species of the animal in the underwater image",
        "TaskKeywords": ["marine life", "species", "classification"],
        "NumberOfHumanWorkersPerDataObject": settings.workers_per_object,
        "TaskTimeLimitInSeconds": settings.task_seconds,
        "TaskAvailabilityLifetimeInSeconds": settings.availability_seconds,
        "MaxConcurrentTaskCount": 1000,
    }
