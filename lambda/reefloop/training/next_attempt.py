"""NextAttempt: other instances for a training that had none, or the reason why there is no use in any."""

from typing import Final

from reefloop import environment
from reefloop.payloads import Attempt, NextAttemptInput, TrainingPlan
from reefloop.training import failures
from reefloop.training.attempts import Instances, attempts


class TrainingFailed(Exception):
    """The job failed for a reason that has nothing to do with its instances; the message is the job's own reason."""


class InstancesMissing(Exception):
    """No type of instance could be had, on spot or on demand; the message says why for each, and what to do."""


_MARKETS: Final = {True: "on spot", False: "on demand"}


def handler(event: NextAttemptInput, _context: object) -> TrainingPlan:
    """Plan the attempt after one that failed for want of capacity or quota.

    An execution that was redriven after its training failed trains again, from the first attempt on: a function that
    failed is all that a redrive calls once more, and whoever redrives has raised a quota or repaired the data.

    Raises:
        TrainingFailed: the job did not fail for want of instances.
        InstancesMissing: this was the last attempt.
    """
    instances, plan = environment.read(Instances), event["plan"]
    if event["redrives"] > plan["redrives"]:
        return _planned(plan, attempts(instances), refusals=[], redrives=event["redrives"])
    attempt = plan["attempt"]
    failure = failures.read(event["job"], attempt=attempt, count=instances.instance_count)
    if not failure.elsewhere:
        raise TrainingFailed(failure.reason)
    where = f"{attempt['instance_type']} {_MARKETS[attempt['spot']]}"
    refusals = [*plan["refusals"], f"{where}: {failure.reason}"]
    print(refusals[-1])
    if not plan["remaining"]:
        raise InstancesMissing(f"no instances to train on. {'; '.join(refusals)}")
    return _planned(plan, plan["remaining"], refusals=refusals, redrives=plan["redrives"])


def _planned(plan: TrainingPlan, left: list[Attempt], *, refusals: list[str], redrives: int) -> TrainingPlan:
    attempt, *remaining = left
    return TrainingPlan(
        model_version=plan["model_version"],
        attempt=attempt,
        remaining=remaining,
        refusals=refusals,
        redrives=redrives,
    )
