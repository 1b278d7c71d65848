"""The evaluation as a state: what will ship is judged, on images that the training never saw."""

from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, TrainingSettings
from stacks.constructs.paths import at, path
from stacks.constructs.processing import processing_job
from stacks.constructs.sagemaker import JobRole, job_tags


def evaluation_job(
    scope: Construct,
    construct_id: str,
    *,
    settings: TrainingSettings,
    jobs_settings: JobsSettings,
    bucket: s3.IBucket,
    image_uri: str,
    role: JobRole,
) -> sfn.CustomState:
    """A state that runs the job container's verb `evaluate` and lays the model's files out below models/<version>/."""
    gate = settings.gate
    # Without the prefix's last slash: SageMaker adds one to it.
    folder = bucket.s3_url_for_object(c.model_key("{}").removesuffix("/"))
    return processing_job(
        scope,
        construct_id,
        stage="training",
        verb="evaluate",
        options={
            "model-version": at(c.PLAN, c.MODEL_VERSION),
            "label-attribute": c.LABEL_ATTRIBUTE,
            "minimum-accuracy": str(gate.minimum_accuracy),
            "minimum-recall": str(gate.minimum_recall or 0),
            "champion": gate.champion,
            "unreadable-share": str(settings.unreadable_share),
        },
        inputs=path(c.EVALUATION, c.PROCESSING_INPUTS),
        outputs={"package": sfn.JsonPath.format(folder, at(c.PLAN, c.MODEL_VERSION))},
        image_uri=image_uri,
        role=role,
        settings=jobs_settings,
        tags=job_tags("training"),
        result=c.JOB,
    )
