from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.paths import at, path


@dataclass(frozen=True)
class TeamStates:
    """A team and the names of its states."""

    name: str
    write: str
    label: str
    collect: str


LABELERS: Final = TeamStates(c.LABELERS, "WriteTasks", "Label", "CollectLabels")
EXPERTS: Final = TeamStates(c.EXPERTS, "WriteExpertTasks", "LabelExperts", "CollectExpertLabels")


def task_names(kinds: Mapping[str, str]) -> dict[str, str]:
    """What the functions are told of the teams' kinds of jobs."""
    return {"LABELERS_TASK": kinds[c.LABELERS], "EXPERTS_TASK": kinds[c.EXPERTS]}


# What every item of the Map knows, whoever does its work.
ITEM: Final[Mapping[str, Any]] = {
    c.ROUND: at(c.ROUND),
    c.ATTEMPT: sfn.JsonPath.number_at(path(c.TASKS, c.ATTEMPT)),
    c.TEMPLATE_URI: at(c.TASKS, c.TEMPLATE_URI),
    c.CATEGORIES_URI: at(c.TASKS, c.CATEGORIES_URI),
    c.INDEX: sfn.JsonPath.number_at("$$.Map.Item.Index"),
    c.CHUNK: sfn.JsonPath.object_at("$$.Map.Item.Value"),
}


class LabelingTeam(sfn.StateMachineFragment):
    """A team's work in a round: write the tasks, have each chunk labeled, collect, and offer the rest once more.

        WriteTasks → Label: Map over chunks → CollectLabels ─┐
                       ▲ chunks left                         │
                       └─────────────────────────────────────┘

    It goes on to `nobody` when there was nothing to ask, and to `done` when nothing more is.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        states: TeamStates,
        write: Function,
        collect: Function,
        job: sfn.IChainable,
        nobody: sfn.IChainable,
        done: sfn.IChainable,
    ) -> None:
        super().__init__(scope, construct_id)
        event: dict[str, Any] = {c.ROUND: at(c.ROUND), c.TEAM: states.name}
        label = sfn.Map(
            scope,
            states.label,
            items_path=path(c.TASKS, c.CHUNKS),
            item_selector=dict(ITEM),
            result_path=path(c.JOBS),
        )
        label.item_processor(job)
        collected = {
            c.ATTEMPT: sfn.JsonPath.number_at(path(c.TASKS, c.ATTEMPT)),
            c.CHUNKS: sfn.JsonPath.list_at(path(c.TASKS, c.CHUNKS)),
            c.JOBS: sfn.JsonPath.list_at(path(c.JOBS)),
        }
        nothing = sfn.Condition.number_equals(path(c.TASKS, c.OBJECTS), 0)
        self._start = FunctionTask(scope, states.write, function=write, event=event, result=c.TASKS)
        self._start.next(sfn.Choice(scope, f"{states.label}AtAll").when(nothing, nobody).otherwise(label))
        label.next(
            FunctionTask(scope, states.collect, function=collect, event=event | collected, result=c.TASKS).next(
                sfn.Choice(scope, f"{states.label}Again").when(nothing, done).otherwise(label)
            )
        )

    @property
    def start_state(self) -> sfn.State:
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        return []
