"""CollectLabels and CollectExpertLabels: what a team's labeling jobs came to, and what is to be asked once more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefloop import contracts, environment
from reefloop.labeling import outcomes, tasks
from reefloop.payloads import CollectLabelsInput, JobEnd, LabelingJob, Tasks

_REASONS: Final = 5


class LabelingFailed(Exception):
    """Nobody of a team answered anything; the message has the reasons that the jobs gave."""


@dataclass(frozen=True, kw_only=True)
class Environment(tasks.Settings):
    chained_jobs: int
    provider: str


def handler(event: CollectLabelsInput, _context: object) -> Tasks:
    """Write the jobs' ends into labeling-jobs.json, and the next attempt's tasks: what nobody answered.

    There are no chunks when everything was answered, when the attempts are used up (the rest is left over for
    another round), or when people abandoned a batch of the station.

    Raises:
        LabelingFailed: not one object of the team was answered.
    """
    env = environment.read(Environment)
    round_, team, attempt = event["round"], event["team"], event["attempt"]
    at_station = env.provider == "station"
    # Whoever labels at the station can send any JSON as the batch's end.
    ends = [end if isinstance(end, dict) else JobEnd() for end in event["jobs"]]
    jobs = [
        outcomes.ended(team, attempt, chunk, end, at_station=at_station)
        for chunk, end in zip(event["chunks"], ends, strict=True)
    ]
    every = outcomes.record(env.data_bucket, round_, jobs)
    answered = outcomes.answers(env.data_bucket, round_, jobs)
    if not any(answered.values()):
        earlier = [job for job in every if job["team"] == team and job not in jobs]
        if not any(outcomes.answers(env.data_bucket, round_, earlier).values()):
            raise LabelingFailed(_message(round_, team, jobs))
    abandoned = any(end.get("Error") == contracts.ABANDONED for end in ends)
    again = attempt + 1 < env.chained_jobs and not abandoned
    lines = outcomes.unanswered(env.data_bucket, round_, answered) if again else ()
    return tasks.write(env, round_, team, attempt=attempt + 1, lines=lines)


def _message(round_: str, team: str, jobs: Sequence[LabelingJob]) -> str:
    reasons = [f"{job['job'] or 'no job was made'}: {job['failure_reason'] or 'no reason given'}" for job in jobs]
    more = f" and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return (
        f"nobody of the team {team!r} answered anything in round {round_!r}: {'; '.join(reasons[:_REASONS])}{more}. "
        "Correct what the reasons name, or have people take the tasks, and start the round again by its own name"
    )
