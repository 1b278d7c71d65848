"""AwaitApproval: a model that the gate let pass waits for a person, under a task token."""

from dataclasses import dataclass

from reefloop import environment
from reefloop.payloads import AwaitApprovalInput
from reefloop.training import approvals


@dataclass(frozen=True)
class Environment:
    data_bucket: str


def handler(event: AwaitApprovalInput, _context: object) -> None:
    """Note the token, then answer at once if somebody has decided already.

    In this order: who decides before the token is noted is seen here, who decides after it is seen by ApprovalChanged.
    """
    env = environment.read(Environment)
    approvals.wait(env.data_bucket, event)
    approvals.settle(env.data_bucket, event["verdict"]["model_package_arn"])
