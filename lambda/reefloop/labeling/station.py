"""Batches at the labeling station: their names, made of what is asked, and their end."""

from datetime import UTC, datetime
from pathlib import PurePosixPath

from reefloop import contracts, storage
from reefloop.payloads import Batch


def job_name(team: str, tasks: str) -> str:
    """The name that the votes of a batch lie under, from the key of its tasks, tasks/<team>/<name>.manifest."""
    return f"station-{team}-{PurePosixPath(tasks).stem}"


def batch_key(round_: str, team: str, tasks: str) -> str:
    """Where a batch is published: station/<team>/<attempt>-<n>.json."""
    name = PurePosixPath(tasks).stem.rpartition("-")[0]
    return contracts.round_key(round_, f"{contracts.STATION_FOLDER}{team}/{name}.json")


def stamp(time: datetime) -> str:
    """A time as batches have it; of two, the earlier is the smaller text."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def close(bucket: str, round_: str, team: str) -> None:
    """End what was published to a team before: abandoned, or of an execution that is no more, it takes the time of
    people for answers that nobody awaits. What is still to be done is published again."""
    now = stamp(datetime.now(UTC))
    for stored in storage.list_objects(bucket, contracts.round_key(round_, f"{contracts.STATION_FOLDER}{team}/")):
        batch: Batch = storage.read_json(bucket, stored.key)
        if batch["deadline"] > now:
            storage.write_json(bucket, stored.key, {**batch, "deadline": now})
