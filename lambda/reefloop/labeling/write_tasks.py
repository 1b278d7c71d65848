"""WriteTasks and WriteExpertTasks: what a team is asked in a round."""

from dataclasses import dataclass

from reefloop import contracts, environment
from reefloop.labeling import asked, outcomes, tasks
from reefloop.payloads import Tasks, WriteTasksInput


@dataclass(frozen=True, kw_only=True)
class Environment(tasks.Settings):
    honeypot_share: float


def handler(event: WriteTasksInput, _context: object) -> Tasks:
    """Write the first attempt's tasks: for labelers what was routed to people, for experts what labelers left in doubt.

    A round that is started again asks for what nobody of the team has answered yet. There are no chunks when there
    is nothing to ask.

    Raises:
        ObjectMissing: when the round was not routed, or not consolidated.
        TooManyChunks: more labeling jobs than a state machine can follow.
    """
    env = environment.read(Environment)
    round_, team = event["round"], event["team"]
    if team == contracts.LABELERS:
        lines = asked.routed(env.data_bucket, round_)
    else:
        kind = env.kind(team)
        # A review shows boxes, and gold's own would give the answer away: no honeypots among what is reviewed.
        share = 0.0 if kind.reviews else env.honeypot_share
        lines = asked.doubtful(env.data_bucket, round_, honeypot_share=share, labeled=kind.reviews)
    answered = outcomes.answered_objects(env.data_bucket, round_, team)
    return tasks.write(env, round_, team, attempt=0, lines=asked.besides(lines, answered))
