"""Stops what still runs, and waits until it has."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from console.clients import Clients
from console.errors import Failure
from console.project import PREFIX, Project

PATIENCE_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class _JobKind:
    """How SageMaker lists one kind of job: the key of the answer, the states in which it runs and then stops."""

    kind: str
    summaries: str
    running: tuple[str, ...]
    stopping: tuple[str, ...]

    @property
    def name_key(self) -> str:
        return f"{self.kind.capitalize()}JobName"

    def names(self, sagemaker: Any, statuses: tuple[str, ...]) -> list[str]:
        """Names of this kind's jobs in these states; every job of the loop has a name that starts with reefloop-."""
        found = []
        for status in statuses:
            pages = sagemaker.get_paginator(f"list_{self.kind}_jobs").paginate(NameContains=PREFIX, StatusEquals=status)
            found += [job[self.name_key] for page in pages for job in page[self.summaries]]
        return [name for name in found if name.startswith(PREFIX)]

    def stop(self, sagemaker: Any, name: str) -> None:
        try:
            getattr(sagemaker, f"stop_{self.kind}_job")(**{self.name_key: name})
        except ClientError as error:
            # It has ended since it was listed, or is about to: "… the processing job is in status Stopped."
            if error.response["Error"]["Code"] != "ValidationException":
                raise


_JOB_KINDS: Final = (
    _JobKind("labeling", "LabelingJobSummaryList", ("Initializing", "InProgress"), ("Stopping",)),
    _JobKind("processing", "ProcessingJobSummaries", ("InProgress",), ("Stopping",)),
    _JobKind("training", "TrainingJobSummaries", ("InProgress",), ("Stopping",)),
    _JobKind("compilation", "CompilationJobSummaries", ("STARTING", "INPROGRESS"), ("STOPPING",)),
)


def stop_executions(clients: Clients, project: Project) -> Iterator[str]:
    """Stop every running execution of the project's machines, the loop's own first."""
    sfn = clients("stepfunctions")

    def running() -> list[str]:
        machines = sorted(project.machines.items(), key=lambda item: item[0] != "loop")
        listings = (
            sfn.get_paginator("list_executions").paginate(stateMachineArn=arn, statusFilter="RUNNING")
            for _, arn in machines
        )
        return [execution["executionArn"] for pages in listings for page in pages for execution in page["executions"]]

    def stop(arn: str) -> None:
        sfn.stop_execution(executionArn=arn, error="Destroyed", cause="console destroy removes what the loop made")

    yield from _stop_all("execution", running, stop)


def stop_jobs(clients: Clients, _: Project) -> Iterator[str]:
    """Stop every job that the loop started, of every kind."""
    sagemaker = clients("sagemaker")
    for kind in _JOB_KINDS:
        yield from _stop_all(
            f"{kind.kind} job",
            running=partial(kind.names, sagemaker, kind.running),
            stop=partial(kind.stop, sagemaker),
            stopping=partial(kind.names, sagemaker, kind.stopping),
        )


def stop_builds(clients: Clients, project: Project) -> Iterator[str]:
    """Stop the builds of the job container."""
    codebuild = clients("codebuild")
    projects = project.resources(clients, "jobs").get("AWS::CodeBuild::Project", [])

    def running() -> list[str]:
        ids = [build for name in projects for build in codebuild.list_builds_for_project(projectName=name)["ids"]]
        builds = codebuild.batch_get_builds(ids=ids[:100])["builds"] if ids else []
        return [build["id"] for build in builds if build["buildStatus"] == "IN_PROGRESS"]

    yield from _stop_all("build", running, lambda build: codebuild.stop_build(id=build))


def _stop_all(
    what: str,
    running: Callable[[], list[str]],
    stop: Callable[[str], None],
    stopping: Callable[[], list[str]] = list,
) -> Iterator[str]:
    """Stop each that is running once, then wait until none is, nor any that is stopping.

    Raises:
        Failure: something still runs after PATIENCE_SECONDS.
    """
    asked: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    # In this order: what begins to stop after the first list is in the second.
    while left := [*(names := running()), *stopping()]:
        for name in names:
            if name not in asked:
                stop(name)
                asked.add(name)
                yield f"stopped {what} {name}"
        if time.monotonic() > deadline:
            raise Failure(f"{what} {left[0]} still runs {PATIENCE_SECONDS} s after it was told to stop")
        time.sleep(_PAUSE_SECONDS)
