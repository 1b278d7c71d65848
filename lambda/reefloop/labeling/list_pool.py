"""ListPool: which images this round considers, and what the scoring job reads."""

from dataclasses import dataclass

from reefloop import contracts, environment, registry, storage
from reefloop.labeling import inputs, pool_files, rounds
from reefloop.payloads import LabelingInput, Pool


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    model_package_group: str


def handler(event: LabelingInput, _context: object) -> Pool:
    """Write rounds/<round>/pool.manifest and images.json and say how many new images there are.

    A round keeps the pool that it once listed: run again, it gives the same, whatever arrived meanwhile (one that
    found nothing looks again). An image is taken by one round only: a round that failed half-way is to be started
    again by its own name. Without a gold manifest the job's gold input holds the label category configuration alone.

    Raises:
        RoundInvalid, CategoriesInvalid, ManifestInvalid (in gold), ObjectMissing: the message says what to change.
    """
    env = environment.read(Environment)
    round_ = rounds.checked_name(event["round"])
    rounds.category_names(env.data_bucket)
    gold = rounds.gold_keys(env.data_bucket)
    pool_key = contracts.round_key(round_, "pool.manifest")
    listed = storage.find(env.data_bucket, pool_key)
    if listed is None or listed.size_bytes == 0:
        pool_files.write_pool(env.data_bucket, round_, gold=gold)
    objects = pool_files.write_images(env.data_bucket, round_, gold=gold)
    champion = registry.champion(env.model_package_group)
    version = champion.model_version if champion else ""
    return Pool(objects=objects, processing_inputs=inputs.score(env.data_bucket, round_=round_, champion=version))
