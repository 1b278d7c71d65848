"""The comparison as a state: a compiled model beside the one that it was compiled from, on a machine that runs both."""

from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, OperationsSettings
from stacks.constructs.paths import at
from stacks.constructs.processing import processing_job
from stacks.constructs.sagemaker import JobRole, job_tags, until_there_is_room


def comparison_job(
    scope: Construct,
    construct_id: str,
    *,
    jobs_settings: JobsSettings,
    operations: OperationsSettings,
    bucket: s3.IBucket,
    image_uri: str,
    role: JobRole,
    inputs: str,
    instance_type: str,
) -> sfn.CustomState:
    """A state that runs the job container's verb `compare` for the one target of its input.

    `inputs` and `instance_type` are paths in the payload, since both differ from target to target. What it finds is
    models/<version>/comparisons/<target>/comparison.json: a compiled model that is wrong or does not load is a
    finding, and the state succeeds. It fails where nothing could be found out.
    """
    # Without the prefix's last slash: SageMaker adds one to it.
    folder = bucket.s3_url_for_object(c.model_key("{}", "comparisons/{}"))
    return processing_job(
        scope,
        construct_id,
        stage="compilation",
        verb="compare",
        options={
            "label-attribute": c.LABEL_ATTRIBUTE,
            "instance-type": sfn.JsonPath.string_at(instance_type),
        },
        inputs=inputs,
        outputs={"comparison": sfn.JsonPath.format(folder, at(c.MODEL_VERSION), at(c.TARGET, c.NAME))},
        image_uri=image_uri,
        role=role,
        settings=jobs_settings,
        instance_type=instance_type,
        part=at(c.TARGET, c.NAME),
        tags=job_tags("compilation"),
        result=c.JOB,
        # Several targets are compared at a time: none of them may lose what was compiled since the others were first.
        retry=[until_there_is_room(operations)],
    )
