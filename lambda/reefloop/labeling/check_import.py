"""CheckImport: labels that another tool gave, before anything is computed from them."""

from dataclasses import dataclass

from reefloop import contracts, environment, storage
from reefloop.labeling import imported, inputs, manifest, rounds
from reefloop.payloads import LabelingInput, Pool


class ImportInvalid(Exception):
    """The import holds nothing."""


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    task: str


def handler(event: LabelingInput, _context: object) -> Pool:
    """Check every line of rounds/<round>/import.manifest and say how many there are.

    Raises:
        ObjectMissing, ImportInvalid: when there is nothing to import.
        ManifestInvalid, LabelInvalid: naming the first line that is wrong, and how.
        RoundInvalid, CategoriesInvalid: the message says what to change.
    """
    env = environment.read(Environment)
    round_ = rounds.checked_name(event["round"])
    categories = rounds.category_names(env.data_bucket, task=env.task)
    key = contracts.round_key(round_, "import.manifest")
    source = storage.uri(env.data_bucket, key)
    objects = 0
    for record in manifest.records(storage.read_lines(env.data_bucket, key), source=source, bucket=env.data_bucket):
        imported.CHECKS[env.task](record, categories=categories)
        objects += 1
    if not objects:
        raise ImportInvalid(f"{source} has no line: write one JSON object per labeled image")
    previous = rounds.previous_dataset(env.data_bucket, besides=round_)
    return Pool(
        objects=objects,
        processing_inputs=inputs.after_scoring(env.data_bucket, round_=round_, previous_dataset=previous),
    )
