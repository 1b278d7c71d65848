from typing import Any, Final

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import OperationsSettings, TrainingSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.machine import Machine, run
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, job_name, path
from stacks.constructs.sagemaker import TRAINING, JobRole, job_statements, job_tags, run_job
from stacks.jobs import JobsStack
from stacks.storage import StorageStack

# What the trainer prints as "name=value" becomes a metric of the job.
METRICS: Final = ("epoch", "train:loss", "train:accuracy", "validation:loss", "validation:accuracy")


class TrainingStack(Stack):
    """A dataset becomes a model in the registry, with a verdict: accepted, or not and why."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: TrainingSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        bucket = storage.data_bucket
        role = JobRole(self, "JobRole", repository=jobs.repository)
        grant_objects(
            role,
            bucket,
            read=["datasets/*", "images/*", "models/*"],
            write=["models/*"],
            delete=["models/*"],  # a checkpoint that the job deletes is deleted in the bucket too
        )

        image = run(self, "Image", machine=jobs.machine, payload={})
        prepare = Function(
            self,
            "PrepareFunction",
            handler="training.prepare",
            environment={"DATA_BUCKET": bucket.bucket_name},
            operations=operations,
        )
        grant_objects(prepare, bucket, read=["datasets/*"])
        register = Function(
            self,
            "RegisterFunction",
            handler="training.register",
            environment={
                "DATA_BUCKET": bucket.bucket_name,
                "IMAGE_URI": jobs.image_uri,
                "MINIMUM_ACCURACY": str(settings.minimum_accuracy),
            },
            operations=operations,
            timeout=Duration.minutes(10),
            memory_mib=1024,
            scratch_mib=2048,
        )
        grant_objects(register, bucket, read=["models/*"], write=["models/*"])
        storage.grant_registry(register, register=True)
        # The registry notes the digest of a package's image, which it reads with the caller's permissions:
        # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSageMakerModelRegistryFullAccess.html
        jobs.repository.grant(register, "ecr:BatchGetImage", "ecr:DescribeImages")

        plan = FunctionTask(
            self,
            "Prepare",
            function=prepare,
            event={c.DATASET_VERSION: at(c.DATASET_VERSION), c.EXECUTION: sfn.JsonPath.string_at("$$.Execution.Id")},
            result=c.PLAN,
        )
        train = run_job(
            self,
            "Train",
            kind=TRAINING,
            request=_training_job(settings, image_uri=jobs.image_uri, bucket_uri=bucket.s3_url_for_object(), role=role),
            selector={c.MODEL_ARTIFACT_URI + ".$": "$.ModelArtifacts.S3ModelArtifacts"},
            result=c.JOB,
        )
        verdict = FunctionTask(
            self,
            "Register",
            function=register,
            event={
                c.MODEL_VERSION: at(c.PLAN, c.MODEL_VERSION),
                c.MODEL_ARTIFACT_URI: at(c.JOB, c.MODEL_ARTIFACT_URI),
                c.DATASET_VERSION: at(c.DATASET_VERSION),
            },
            result=c.VERDICT,
        )
        answer = sfn.Pass(
            self,
            "Model",
            parameters={
                c.MODEL_VERSION: at(c.PLAN, c.MODEL_VERSION),
                c.ACCEPTED: sfn.JsonPath.object_at(path(c.VERDICT, c.ACCEPTED)),
                c.REASONS: sfn.JsonPath.list_at(path(c.VERDICT, c.REASONS)),
            },
        )
        self.machine = Machine(
            self,
            "Machine",
            definition=image.next(plan).next(train).next(verdict).next(answer),
            operations=operations,
            statements=job_statements(self, TRAINING, role),
        )


def _training_job(settings: TrainingSettings, *, image_uri: str, bucket_uri: str, role: JobRole) -> dict[str, Any]:
    def model_uri(name: str = "") -> str:
        return sfn.JsonPath.format(f"{bucket_uri}/{c.model_key('{}', name)}", at(c.PLAN, c.MODEL_VERSION))

    request: dict[str, Any] = {
        "TrainingJobName.$": job_name("training"),
        "AlgorithmSpecification": {
            "TrainingImage": image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": rf"{name}=([-+.0-9e]+)"} for name in METRICS],
        },
        "HyperParameters": _hyperparameters(settings),
        "InputDataConfig": [
            _channel("dataset", "S3Prefix", f"{bucket_uri}/{c.dataset_key('{}')}"),
            _channel("images", "ManifestFile", f"{bucket_uri}/{c.dataset_key('{}', 'images.json')}"),
        ],
        "OutputDataConfig": {"S3OutputPath.$": model_uri()},
        "CheckpointConfig": {"S3Uri.$": model_uri("checkpoints/")},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": settings.instance_type,
            "VolumeSizeInGB": settings.volume_gib,
        },
        "EnableManagedSpotTraining": settings.spot,
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_runtime_seconds},
        "RoleArn": role.role_arn,
        "Tags": job_tags("training"),
    }
    if settings.spot:
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = settings.max_wait_seconds
    return request


def _hyperparameters(settings: TrainingSettings) -> dict[str, str]:
    """SageMaker passes hyperparameters as strings."""
    return {
        "model_version.$": path(c.PLAN, c.MODEL_VERSION),
        "dataset_version.$": path(c.DATASET_VERSION),
        "label_attribute": c.LABEL_ATTRIBUTE,
        "image_pixels": str(settings.image_pixels),
        "epochs": str(settings.epochs),
        "batch_size": str(settings.batch_size),
        "learning_rate": str(settings.learning_rate),
        "seed": str(settings.seed),
    }


def _channel(name: str, kind: str, uri: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": kind,
                "S3Uri.$": sfn.JsonPath.format(uri, at(c.DATASET_VERSION)),
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }
