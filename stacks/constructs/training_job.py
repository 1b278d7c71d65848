"""The training job as a state: what is trained on which data, with the instances that the plan of the moment names."""

from typing import Any, Final

from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, TrainingSettings
from stacks.constructs.paths import at, job_name, path
from stacks.constructs.sagemaker import AROUND_SECONDS, TRAINING, JobRole, job_tags, run_job

# The settings that the trainer takes as hyperparameters of the same name.
HYPERPARAMETERS: Final = (
    "network",
    "normalization",
    "image_pixels",
    "epochs",
    "batch_size",
    "accumulation",
    "learning_rate",
    "weight_decay",
    "warm_up_share",
    "label_smoothing",
    "class_weights",
    "precision",
    "deterministic",
    "seed",
    "unreadable_share",
)

# What the trainer prints as "name=value", a word of its own in the line, becomes a metric of the job. 40 are allowed:
# https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
METRICS: Final = (
    "epoch",
    "train:loss",
    "train:accuracy",
    "validation:loss",
    "validation:accuracy",
    "learning_rate",
    "images_per_second",
    "step_seconds",
    "data_wait_share",
    "gpu_memory_gib",
)


def metric_pattern(name: str) -> str:
    return rf"(?:^|\s){name}=([-+.0-9eE]+)"


def training_job(
    scope: Construct,
    construct_id: str,
    *,
    settings: TrainingSettings,
    jobs_settings: JobsSettings,
    bucket: s3.IBucket,
    image_uri: str,
    role: JobRole,
) -> sfn.CustomState:
    """A state that makes the plan's attempt. How the job ended lands at `job`."""

    def model_uri(name: str = "") -> str:
        uri = bucket.s3_url_for_object(c.model_key("{}", name).removesuffix("/"))
        return sfn.JsonPath.format(uri, at(c.PLAN, c.MODEL_VERSION))

    request: dict[str, Any] = {
        "TrainingJobName.$": job_name(
            "training", sfn.JsonPath.json_to_string(sfn.JsonPath.object_at(path(c.PLAN, c.ATTEMPT)))
        ),
        "AlgorithmSpecification": {
            "TrainingImage": image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": metric_pattern(name)} for name in METRICS],
        },
        "HyperParameters": _hyperparameters(settings, jobs_settings),
        "InputDataConfig": _channels(settings, bucket),
        "OutputDataConfig": {"S3OutputPath.$": model_uri()},
        # Per model and not per job: the next attempt goes on from them.
        "CheckpointConfig": {"S3Uri.$": model_uri("checkpoints")},
        "ResourceConfig": {
            "InstanceCount": settings.instance_count,
            "InstanceType.$": path(c.PLAN, c.ATTEMPT, c.INSTANCE_TYPE),
            "VolumeSizeInGB": settings.volume_gib,
        },
        "EnableManagedSpotTraining.$": path(c.PLAN, c.ATTEMPT, c.SPOT),
        "StoppingCondition.$": path(c.PLAN, c.ATTEMPT, c.STOPPING_CONDITION),
        "RoleArn": role.role_arn,
        "Tags": job_tags("training"),
    }
    return run_job(
        scope,
        construct_id,
        kind=TRAINING,
        request=request,
        selector={f"{name}.$": f"$.{name}" for name in ("TrainingJobName", "TrainingJobStatus", "SecondaryStatus")},
        result=c.JOB,
        timeout_seconds=max(settings.max_runtime_seconds, settings.max_wait_seconds) + AROUND_SECONDS,
    )


def _hyperparameters(settings: TrainingSettings, jobs_settings: JobsSettings) -> dict[str, str]:
    """SageMaker passes hyperparameters as strings."""
    return {
        "model_version.$": path(c.PLAN, c.MODEL_VERSION),
        "dataset_version.$": path(c.DATASET_VERSION),
        "label_attribute": c.LABEL_ATTRIBUTE,
        "pretrained": _text(settings.network in jobs_settings.pretrained),
        **{name: _text(getattr(settings, name)) for name in HYPERPARAMETERS},
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _channels(settings: TrainingSettings, bucket: s3.IBucket) -> list[dict[str, Any]]:
    """The dataset's manifests, and the images of its train and validation splits.

    FastFile streams what lies below a folder and reads no list: there all images are in sight, and only those that the
    manifests name are read. https://docs.aws.amazon.com/sagemaker/latest/dg/model-access-training-data.html
    """
    version = at(c.DATASET_VERSION)
    manifests = {"S3Uri.$": sfn.JsonPath.format(bucket.s3_url_for_object(c.dataset_key("{}")), version)}
    images: dict[str, Any] = {"S3Uri": bucket.s3_url_for_object(c.IMAGES)}
    if settings.input_mode == "File":
        images = {
            "S3DataType": "ManifestFile",
            "S3Uri.$": sfn.JsonPath.format(
                bucket.s3_url_for_object(c.dataset_key("{}", "training-images.json")), version
            ),
        }
    return [_channel("dataset", "File", manifests), _channel("images", settings.input_mode, images)]


def _channel(name: str, mode: str, source: dict[str, Any]) -> dict[str, Any]:
    common = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": common | source}}
