"""ListPool: which images this round considers, and what the scoring job reads."""

from dataclasses import dataclass

from reefloop import environment, registry
from reefloop.labeling import inputs, pool_files, rounds
from reefloop.payloads import LabelingInput, ListedPool


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    model_package_group: str
    task: str


def handler(event: LabelingInput, _context: object) -> ListedPool:
    """Write rounds/<round>/{pool.manifest,images.json,known-images.json} and say how many new images there are.

    A round keeps the pool that it once listed: run again, it gives the same, whatever arrived meanwhile (one that
    found nothing looks again). An image is taken by one round only: a round that failed half-way is to be started
    again by its own name. Without a gold manifest the job's gold input holds the label category configuration alone.
    No model scores a detection round: people draw all boxes.

    Raises:
        RoundInvalid, CategoriesInvalid, ManifestInvalid (in gold), ObjectMissing: the message says what to change.
    """
    env = environment.read(Environment)
    bucket, round_ = env.data_bucket, rounds.checked_name(event["round"])
    rounds.category_names(bucket, task=env.task)
    gold = rounds.gold_keys(bucket)
    listed = pool_files.write_pool_once(bucket, round_, gold=gold)
    objects = pool_files.write_images(bucket, round_)
    previous = rounds.previous_dataset(bucket, besides=round_)
    known = dict.fromkeys([*gold, *rounds.audit_keys(bucket, previous)])
    pool_files.write_known(bucket, round_, known)
    champion = registry.champion(env.model_package_group) if env.task == "classification" else None
    return ListedPool(
        objects=objects,
        listed=listed.isoformat(),
        processing_inputs=inputs.score(
            bucket,
            round_=round_,
            champion=champion.model_version if champion else "",
            previous_dataset=previous,
            known=bool(known),
        ),
    )
