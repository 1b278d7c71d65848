"""Step Functions: moto's interpreter of the Amazon States Language, completed.

State machines execute, whoever makes them; tasks call this account with the execution role's credentials.
"""

import importlib
import logging
import pkgutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import moto.stepfunctions
from moto.stepfunctions import models, parser, responses, urls
from moto.stepfunctions.parser import models as parser_models

from offline.roles import Clients
from offline.state import ACCOUNT_ID, State
from offline.step_functions import interpreter, tasks
from offline.step_functions.executions import Execution, StateMachines
from offline.step_functions.responses import Responses


def install(state: State) -> None:
    """Let this account's state machines execute. Call it before the server starts."""
    logging.getLogger(parser.__name__).setLevel(logging.CRITICAL)  # an execution's history says the same, shorter
    backends = parser_models.stepfunctions_parser_backends
    backends.backend = StateMachines
    parser_models.Execution = Execution
    for module in (moto.stepfunctions, models, responses):
        module.stepfunctions_backends = backends
    responses.get_backend = lambda account, region: backends[account][region]
    urls.url_paths = {"{0}/$": Responses.dispatch}
    interpreter.mend()
    clients = Clients(state, service="states.amazonaws.com", session="states")

    def client(*, service: str, state_credentials: Any, **_: Any) -> Any:
        return clients.of(service, state_credentials.role_arn)

    _replace_clients(client)
    tasks.install(clients)

    def stop_all() -> None:
        for machine in backends[ACCOUNT_ID][state.region].state_machines:
            for execution in machine.executions:
                execution.stop(datetime.now(UTC), None, None)

    state.closing.callback(stop_all)


def _replace_clients(factory: Callable[..., Any]) -> None:
    """Put the factory wherever the interpreter imported moto's own, which knows no role."""
    for module in pkgutil.walk_packages(parser.__path__, f"{parser.__name__}."):
        if ".state_task." in module.name or ".state_map." in module.name:
            importlib.import_module(module.name)
    for name, loaded in list(sys.modules.items()):
        if name.startswith(parser.__name__) and hasattr(loaded, "boto_client_for"):
            vars(loaded)["boto_client_for"] = factory
