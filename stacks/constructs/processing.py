from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from settings import JobsSettings
from stacks.constructs.paths import job_name
from stacks.constructs.sagemaker import AROUND_SECONDS, PROCESSING, JobRole, run_job


def processing_job(
    scope: Construct,
    construct_id: str,
    *,
    stage: str,
    verb: str,
    options: Mapping[str, str],
    inputs: str,
    outputs: Mapping[str, str],
    image_uri: str,
    role: JobRole,
    settings: JobsSettings,
    instances: int = 1,
    instance_type: str = "",
    part: str = "0",
    tags: Sequence[Mapping[str, str]],
    result: str,
    retry: Sequence[Mapping[str, Any]] = (),
) -> sfn.CustomState:
    """A state that runs one verb of the job container as a processing job.

    `inputs` is the path of its ProcessingInputs in the payload, since they differ from round to round; `outputs`
    maps the folder under /opt/ml/processing/output to the S3 URI it is uploaded to. An option or URI that starts
    with "States." or "$" is taken from the payload. `instance_type` is the path of another type in the payload than
    that of the settings. `part` tells jobs apart that one state runs in a Map. `retry` is as in `task`.
    """
    arguments: list[str] = [verb]
    for name, value in options.items():
        arguments += [f"--{name}", value]
    request: dict[str, Any] = {
        "ProcessingJobName.$": job_name(stage, part),
        "AppSpecification": {"ImageUri": image_uri, "ContainerArguments.$": sfn.JsonPath.array(*arguments)},
        "ProcessingInputs.$": inputs,
        "ProcessingOutputConfig": {"Outputs": [_output(name, uri) for name, uri in outputs.items()]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": instances,
                **({"InstanceType.$": instance_type} if instance_type else {"InstanceType": settings.instance_type}),
                "VolumeSizeInGB": settings.volume_gib,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_runtime_seconds},
        "RoleArn": role.role_arn,
        "Tags": list(tags),
    }
    return run_job(
        scope,
        construct_id,
        kind=PROCESSING,
        request=request,
        selector={"ProcessingJobName.$": "$.ProcessingJobName"},
        result=result,
        timeout_seconds=settings.max_runtime_seconds + AROUND_SECONDS,
        retry=retry,
    )


def _output(name: str, uri: str) -> dict[str, Any]:
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri.$": uri,
            "LocalPath": f"/opt/ml/processing/output/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }
