"""Runs a round of the loop and shows it while it runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from console.clients import Clients
from console.devices import Device, DeviceReader
from console.errors import Failure
from console.executions import RUNNING, SUCCEEDED, Execution, Follower, reasons, start_round
from console.project import Project
from console.screen import Screen, device_rows, execution_rows
from reefloop import contracts as c

_PAUSE_SECONDS: Final = 1.0
_RECOUNT_SECONDS: Final = 10.0


@dataclass
class Rounds:
    """The rounds so far, by name."""

    clients: Clients
    project: Project
    screen: Screen
    attend: Callable[[str], None] = lambda _: None
    """Called with the round's name again and again while it runs: for what it asks of people."""
    executions: dict[str, Execution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = DeviceReader(self.clients, self.project)

    def start(self, name: str) -> str:
        """Start a round; returns the execution's ARN."""
        return start_round(self.clients, self.project, name)

    def follow(self, name: str, arn: str) -> Execution:
        """Show a round until it ends.

        Raises:
            Failure: it did not succeed, with the innermost reason.
        """
        follower = Follower(self.clients, self.project)
        devices = DeviceReader(self.clients, self.project, recount_seconds=_RECOUNT_SECONDS)
        while (execution := follower.read(arn)).status == RUNNING:
            self.screen.show([*execution_rows(execution), *device_rows(devices.read())])
            self.attend(name)
            time.sleep(_PAUSE_SECONDS)
        self.executions[name] = execution
        self.screen.show([*execution_rows(execution)])
        if execution.status != SUCCEEDED:
            raise Failure("; ".join(reasons(execution, log=lambda job: f"jobs/{job.name}/log.txt")))
        return execution

    def show_devices(self, devices: Sequence[Device]) -> None:
        self.screen.show([*device_rows(devices)])


def deployed_model(execution: Execution) -> str:
    """The model version that a round brought to the devices; "" when it brought none."""
    return str(execution.output[c.TRAINING][c.MODEL_VERSION]) if c.DEPLOYMENT in execution.output else ""


def without_model(execution: Execution) -> str:
    """Why a round brought no model."""
    training = execution.output.get(c.TRAINING)
    return "; ".join(training[c.REASONS]) if training else "no image was new"
