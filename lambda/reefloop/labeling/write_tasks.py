"""WriteTasks and WriteExpertTasks: what a team is asked in a round."""

from reefloop import contracts, environment
from reefloop.labeling import asked, outcomes, tasks
from reefloop.payloads import Tasks, WriteTasksInput


def handler(event: WriteTasksInput, _context: object) -> Tasks:
    """Write the first attempt's tasks: for labelers what was routed to people, for experts what labelers left in doubt.

    A round that is started again asks for what nobody of the team has answered yet. There are no chunks when there
    is nothing to ask.

    Raises:
        ObjectMissing: when the round was not routed, or not consolidated.
        TooManyChunks: more labeling jobs than a state machine can follow.
    """
    settings = environment.read(tasks.Settings)
    round_, team = event["round"], event["team"]
    lines = (asked.routed if team == contracts.LABELERS else asked.doubtful)(settings.data_bucket, round_)
    answered = outcomes.answered_objects(settings.data_bucket, round_, team)
    return tasks.write(settings, round_, team, attempt=0, lines=asked.besides(lines, answered))
