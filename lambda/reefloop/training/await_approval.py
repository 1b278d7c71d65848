"""AwaitApproval: a model that the gate let pass waits for a person, under a task token."""

from dataclasses import dataclass

from reefloop import environment
from reefloop.payloads import AwaitApprovalInput
from reefloop.training import approvals


@dataclass(frozen=True)
class Environment:
    data_bucket: str


def handler(event: AwaitApprovalInput, _context: object) -> None:
    """Wait for a person's decision, unless there is one already."""
    approvals.wait(environment.read(Environment).data_bucket, event)
