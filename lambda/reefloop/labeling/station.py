"""Names at the labeling station, made of what is asked."""

from pathlib import PurePosixPath

from reefloop import contracts


def job_name(team: str, tasks: str) -> str:
    """The name that the votes of a batch lie under, from the key of its tasks, tasks/<team>/<name>.manifest."""
    return f"station-{team}-{PurePosixPath(tasks).stem}"


def batch_key(round_: str, team: str, tasks: str) -> str:
    """Where a batch is published: station/<team>/<attempt>-<n>.json."""
    name = PurePosixPath(tasks).stem.rpartition("-")[0]
    return contracts.round_key(round_, f"{contracts.STATION_FOLDER}{team}/{name}.json")
