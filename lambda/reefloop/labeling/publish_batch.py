"""PublishBatch: work for the people of the labeling station, who answer under a task token."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

from reefloop import contracts, environment, storage
from reefloop.labeling import ground_truth, rounds, station
from reefloop.payloads import Batch, PublishBatchInput


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    task: str
    labelers_task: str
    experts_task: str
    workers_per_object: int
    experts_per_object: int
    availability_seconds: int


def handler(event: PublishBatchInput, _context: object) -> None:
    """Write rounds/<round>/station/<team>/<attempt>-<n>.json. Published again it waits under the new token, and the
    votes that the same work has already count.

    Raises:
        CategoriesInvalid, ObjectMissing: the message says what to change.
    """
    env = environment.read(Environment)
    round_, team, tasks = event["round"], event["team"], event["chunk"]["tasks"]
    labelers = team == contracts.LABELERS
    kind = ground_truth.KINDS[env.labelers_task if labelers else env.experts_task]
    now = datetime.now(UTC)
    batch = Batch(
        round=round_,
        job=station.job_name(team, tasks),
        team=team,
        tasks=tasks,
        template=storage.split_uri(event["template_uri"])[1].removeprefix(contracts.round_key(round_)),
        task=cast(Literal["classification", "detection"], env.task),
        question=kind.title,
        categories=rounds.category_names(env.data_bucket, task=env.task),
        votes=env.workers_per_object if labelers else env.experts_per_object,
        token=event["token"],
        published_at=station.stamp(now),
        deadline=station.stamp(now + timedelta(seconds=env.availability_seconds)),
    )
    storage.write_json(env.data_bucket, station.batch_key(round_, team, tasks), batch)
