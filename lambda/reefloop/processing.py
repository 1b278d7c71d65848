"""Inputs of processing jobs, complete as CreateProcessingJob takes them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
"""

from typing import Final

from reefloop import storage

ProcessingInputs = list[dict[str, object]]

_FOLDER: Final = "/opt/ml/processing/input"


def s3_input(bucket: str, name: str, key: str, *, manifest: bool = False, sharded: bool = False) -> dict[str, object]:
    """What lies at a key or below a prefix, or with `manifest` what the list there names, in the folder `name`.

    With `sharded` each instance gets its share of the objects, otherwise every instance gets all.
    """
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": storage.uri(bucket, key),
            "LocalPath": f"{_FOLDER}/{name}",
            "S3DataType": "ManifestFile" if manifest else "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "ShardedByS3Key" if sharded else "FullyReplicated",
        },
    }
