"""Faults of moto's interpreter that are not those of a single kind of task, mended where they are."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.inline_iteration_component import (
    InlineIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped


def mend() -> None:
    """Mend moto once, however many accounts are opened."""
    # What failed an item or a branch is passed on as a custom error, whose names may not begin with "States.".
    iteration_worker.CustomErrorName = ErrorName
    branches_decl.CustomErrorName = ErrorName
    if not getattr(Environment.set_error, "mended", False):
        Environment.set_error = _unless_stopped(Environment.set_error)
        InlineIterationComponent._eval_body = _stopping_the_rest(InlineIterationComponent._eval_body)


def _unless_stopped(set_error: Callable[..., None]) -> Callable[..., None]:
    """An execution that was stopped stays stopped, whatever its states say as they end."""

    @wraps(set_error)
    def guarded(self: Any, error: Any) -> None:
        if not isinstance(self._program_state, ProgramStopped):
            set_error(self, error)

    guarded.mended = True  # type: ignore[attr-defined]
    return guarded


def _stopping_the_rest(eval_body: Callable[..., None]) -> Callable[..., None]:
    """The first item that fails ends its Map, and with it what the other items still run.

    https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html
    """

    @wraps(eval_body)
    def ending(self: Any, env: Any) -> None:
        try:
            eval_body(self, env)
        except Exception:
            for frame in list(env._frames):
                frame.set_stop(stop_date=datetime.now(UTC), cause=None, error=None)
            raise

    return ending
