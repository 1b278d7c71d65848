"""The ProcessingInputs of the labeling stage's processing jobs, complete as CreateProcessingJob takes them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
"""

from typing import Final, Literal

from reefloop import contracts, storage

ProcessingInputs = list[dict[str, object]]

_FOLDER: Final = "/opt/ml/processing/input"


def score(bucket: str, *, round_: str, champion: str, previous_dataset: str, known: bool) -> ProcessingInputs:
    """What scoring reads: the pool, what is known for sure, the images of both, and the champion ("" for none).

    Each instance gets its share of the pool's images, and all of the images with a known label: those of gold and of
    the previous dataset's audit. Without any such image (`known`) there is no such input: a manifest of no object
    is none that SageMaker takes.
    """
    inputs = [
        _input(bucket, "pool", contracts.round_key(round_, "pool.manifest")),
        _input(bucket, "gold", _gold_folder()),
        _input(bucket, "images", contracts.round_key(round_, "images.json"), manifest=True, sharded=True),
    ]
    if known:
        inputs.append(_input(bucket, "known", contracts.round_key(round_, "known-images.json"), manifest=True))
    if previous_dataset:
        inputs.append(_input(bucket, "previous", contracts.dataset_key(previous_dataset)))
    if champion:
        inputs.append(_input(bucket, "model", contracts.model_key(champion, "model.tar.gz")))
    return inputs


def after_scoring(bucket: str, *, round_: str, previous_dataset: str) -> ProcessingInputs:
    """What consolidation and merging read: all of the round, what is known for sure, the dataset to grow ("" for
    none)."""
    inputs = [
        _input(bucket, "round", contracts.round_key(round_)),
        _input(bucket, "gold", _gold_folder()),
    ]
    if previous_dataset:
        inputs.append(_input(bucket, "previous", contracts.dataset_key(previous_dataset)))
    return inputs


def _gold_folder() -> str:
    return contracts.LABEL_CATEGORIES.rpartition("/")[0] + "/"


def _input(bucket: str, name: str, key: str, *, manifest: bool = False, sharded: bool = False) -> dict[str, object]:
    data_type: Literal["S3Prefix", "ManifestFile"] = "ManifestFile" if manifest else "S3Prefix"
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": storage.uri(bucket, key),
            "LocalPath": f"{_FOLDER}/{name}",
            "S3DataType": data_type,
            "S3InputMode": "File",
            "S3DataDistributionType": "ShardedByS3Key" if sharded else "FullyReplicated",
        },
    }
