"""FindChampion: what the evaluation of a trained model reads, the model that serves now among it."""

from dataclasses import dataclass
from typing import TypedDict

from reefloop import contracts, environment, registry
from reefloop.payloads import EvaluationPlan
from reefloop.processing import s3_input


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    model_package_group: str


class Event(TypedDict):
    """`training_job` names the job that made the model."""

    model_version: str
    dataset_version: str
    training_job: str


def handler(event: Event, _context: object) -> EvaluationPlan:
    """The inputs of the evaluation. Asked right before it, so that the champion is the one of that moment: another
    execution may have trained and approved a model while this one trained."""
    env = environment.read(Environment)
    bucket, version, dataset = env.data_bucket, event["model_version"], event["dataset_version"]
    # Where SageMaker puts what a training job leaves, below its S3OutputPath:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
    trained = contracts.model_key(version, f"{event['training_job']}/output/model.tar.gz")
    inputs = [
        s3_input(bucket, "model", trained),
        s3_input(bucket, "dataset", contracts.dataset_key(dataset)),
        s3_input(bucket, "images", contracts.dataset_key(dataset, "test-images.json"), manifest=True),
    ]
    if champion := registry.champion(env.model_package_group, besides=version):
        inputs.append(s3_input(bucket, "champion", contracts.model_key(champion.model_version, "model.tar.gz")))
    return EvaluationPlan(processing_inputs=inputs)
