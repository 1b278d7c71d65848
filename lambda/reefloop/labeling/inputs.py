"""The ProcessingInputs of the labeling stage's two processing jobs, complete as CreateProcessingJob takes them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
"""

from typing import Final, Literal

from reefloop import contracts, storage

ProcessingInputs = list[dict[str, object]]

_FOLDER: Final = "/opt/ml/processing/input"


def score(bucket: str, *, round_: str, champion: str) -> ProcessingInputs:
    """What scoring reads: the pool, what is known for sure, every image of both, and the champion ("" for none)."""
    inputs = [
        _input(bucket, "pool", contracts.round_key(round_, "pool.manifest")),
        _input(bucket, "gold", _gold_folder()),
        _input(bucket, "images", contracts.round_key(round_, "images.json"), data_type="ManifestFile"),
    ]
    if champion:
        inputs.append(_input(bucket, "model", contracts.model_key(champion, "model.tar.gz")))
    return inputs


def consolidate(bucket: str, *, round_: str, previous_dataset: str) -> ProcessingInputs:
    """What consolidation reads: all of the round, what is known for sure, the dataset to grow ("" for none)."""
    inputs = [
        _input(bucket, "round", contracts.round_key(round_)),
        _input(bucket, "gold", _gold_folder()),
    ]
    if previous_dataset:
        inputs.append(_input(bucket, "previous", contracts.dataset_key(previous_dataset)))
    return inputs


def _gold_folder() -> str:
    return contracts.LABEL_CATEGORIES.rpartition("/")[0] + "/"


def _input(
    bucket: str, name: str, key: str, *, data_type: Literal["S3Prefix", "ManifestFile"] = "S3Prefix"
) -> dict[str, object]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": storage.uri(bucket, key),
            "LocalPath": f"{_FOLDER}/{name}",
            "S3DataType": data_type,
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
