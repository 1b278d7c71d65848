"""The work behind jobs: what a service hands to a runner, and how a runner says how it ended."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from offline import roles
from offline.faults import JobFault, JobKind
from offline.state import State

_log = logging.getLogger(__name__)


class JobFailed(Exception):
    """A job that did not succeed; the message becomes its failure reason."""


class JobStopped(Exception):
    """A job that ended because it was told to, or its time was over; the message is a training job's secondary
    status, where that is another."""


@dataclass
class Job:
    """One job while it runs.

    `report` adds fields to what the service's describe call answers; `phase` tells a training job's secondary status
    with its message.
    """

    kind: JobKind
    name: str
    arn: str
    request: Mapping[str, Any]
    state: State
    report: Callable[[Mapping[str, Any]], None]
    phase: Callable[[str, str], None] = lambda _, __: None
    stopping: threading.Event = field(default_factory=threading.Event)
    fault: JobFault | None = field(init=False)
    """What the job has to meet; the runner of labeling jobs plays it in its time."""

    def __post_init__(self) -> None:
        # Settled here: a fault that is planned from now on is for others, however late the job's thread begins.
        self.fault = self.state.faults.take_job(self.kind, self.request)

    @property
    def folder(self) -> Path:
        """Where the job keeps its files, log.txt among them."""
        return self.state.folder / "jobs" / self.name

    def check(self) -> None:
        """Raise JobStopped when the job was told to stop."""
        if self.stopping.is_set():
            raise JobStopped

    def meet(self, fault: JobFault) -> None:
        """Fail as the fault says, run out of time, or hang until the job is told to stop.

        Raises:
            JobFailed: the fault's reason.
            JobStopped: the job got no instances in time, or hung and was told to stop.
        """
        if fault.fate == "fail":
            raise JobFailed(fault.reason)
        if fault.fate == "starve":
            raise JobStopped("MaxWaitTimeExceeded")
        self.stopping.wait()
        raise JobStopped

    @cached_property
    def credentials(self) -> dict[str, str]:
        """Credentials of the job's role, as boto3's client factory names them.

        Raises:
            JobFailed: the role is not there or does not trust the service. AWS says so when the job is created already.
        """
        role_arn = self.request.get("RoleArn") or self.request["serviceRole"]
        service = "codebuild.amazonaws.com" if self.kind == "build" else "sagemaker.amazonaws.com"
        try:
            return roles.assume(self.state, role_arn, service=service, session=self.kind)
        except PermissionError as error:
            raise JobFailed(str(error)) from error


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `reason` is "" unless it failed, `secondary` "" unless a training job has one of its own."""

    status: str
    reason: str = ""
    secondary: str = ""


def run(job: Job, work: Callable[[Job], None]) -> Outcome:
    """Do the job's work, or what the account's planned faults make of it."""
    try:
        if job.fault is None or job.kind == "labeling":
            work(job)
        else:
            job.meet(job.fault)
    except JobStopped as error:
        return Outcome("Stopped", secondary=str(error))
    except JobFailed as error:
        return Outcome("Stopped") if job.stopping.is_set() else Outcome("Failed", str(error))
    except ClientError as error:
        return Outcome(
            "Failed", f"ClientError: {error.response['Error']['Code']}: {error.response['Error']['Message']}"
        )
    except Exception as error:
        _log.exception("%s job %s broke the offline account", job.kind, job.name)
        return Outcome("Failed", f"InternalServerError: {type(error).__name__}: {error}")
    return Outcome("Completed")


def now() -> datetime:
    return datetime.now(UTC)
