"""The ProcessingInputs of the labeling stage's processing jobs."""

from reefloop import contracts
from reefloop.processing import ProcessingInputs, s3_input


def score(bucket: str, *, round_: str, champion: str, previous_dataset: str, known: bool) -> ProcessingInputs:
    """What scoring reads: the pool, what is known for sure, the images of both, and the champion ("" for none).

    Each instance gets its share of the pool's images, and all of the images with a known label: those of gold and of
    the previous dataset's audit. Without any such image (`known`) there is no such input: a manifest of no object
    is none that SageMaker takes.
    """
    inputs = [
        s3_input(bucket, "pool", contracts.round_key(round_, "pool.manifest")),
        s3_input(bucket, "gold", _gold_folder()),
        s3_input(bucket, "images", contracts.round_key(round_, "images.json"), manifest=True, sharded=True),
    ]
    if known:
        inputs.append(s3_input(bucket, "known", contracts.round_key(round_, "known-images.json"), manifest=True))
    if previous_dataset:
        inputs.append(s3_input(bucket, "previous", contracts.dataset_key(previous_dataset)))
    if champion:
        inputs.append(s3_input(bucket, "model", contracts.model_key(champion, "model.tar.gz")))
    return inputs


def after_scoring(bucket: str, *, round_: str, previous_dataset: str) -> ProcessingInputs:
    """What consolidation and merging read: all of the round, what is known for sure, the dataset to grow ("" for
    none)."""
    inputs = [
        s3_input(bucket, "round", contracts.round_key(round_)),
        s3_input(bucket, "gold", _gold_folder()),
    ]
    if previous_dataset:
        inputs.append(s3_input(bucket, "previous", contracts.dataset_key(previous_dataset)))
    return inputs


def _gold_folder() -> str:
    return contracts.LABEL_CATEGORIES.rpartition("/")[0] + "/"
