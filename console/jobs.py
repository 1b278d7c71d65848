"""The jobs that executions wait for, each kind read the same way."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.clients import Clients


@dataclass(frozen=True)
class Job:
    """A job as it is now. `detail` is how far it has come; `log` is where it writes."""

    kind: str
    name: str
    status: str
    reason: str
    detail: str
    log: str

    @property
    def ended(self) -> bool:
        return self.status.lower() in {"completed", "failed", "stopped", "succeeded", "fault", "timed_out"}

    @property
    def failed(self) -> bool:
        return self.ended and self.status.lower() not in {"completed", "succeeded"}


@dataclass(frozen=True)
class _Kind:
    """How SageMaker names one kind of job: fields of Create*'s answer and of Describe*'s."""

    kind: str
    capital: str
    detail: Callable[[Mapping[str, Any]], str]

    def stopped(self, job: Mapping[str, Any]) -> str:
        """Why a job was stopped, which a training's secondary status tells: of a limit there is no other word."""
        return str(job.get("SecondaryStatus", "")) if job[f"{self.capital}JobStatus"] == "Stopped" else ""

    @property
    def operation(self) -> str:
        return f"describe_{self.kind}_job"


# Of a training's metrics those that tell how it goes; its job in SageMaker has all.
_TOLD: Final = ("epoch", "train:loss", "validation:accuracy")
_PLAIN: Final = ("Training", "Completed")


def _training_detail(job: Mapping[str, Any]) -> str:
    """Where it trains, what it waits for unless it just trains, and how far it has come."""
    instance = job.get("ResourceConfig", {}).get("InstanceType", "")
    market = " spot" if job.get("EnableManagedSpotTraining") else ""
    metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
    secondary = job.get("SecondaryStatus", "")
    parts = [f"{instance}{market}", "" if secondary in _PLAIN else secondary]
    return ", ".join(filter(None, [*parts, *(f"{name} {metrics[name]:g}" for name in _TOLD if name in metrics)]))


def _labeling_detail(job: Mapping[str, Any]) -> str:
    counters = job.get("LabelCounters", {})
    total = counters.get("TotalLabeled", 0) + counters.get("Unlabeled", 0)
    return f"{counters.get('TotalLabeled', 0)} of {total} labeled"


def _compilation_detail(job: Mapping[str, Any]) -> str:
    """What is compiled for what: a stage has as many of these jobs as targets, and their names do not say it."""
    output = job["OutputConfig"]
    target = output.get("TargetDevice") or "/".join(output.get("TargetPlatform", {}).values())
    return f"{job['InputConfig'].get('Framework', '')} for {target}"


_KINDS: Final = {
    f"{kind.capital}JobArn": kind
    for kind in (
        _Kind("labeling", "Labeling", _labeling_detail),
        _Kind("processing", "Processing", lambda _: ""),
        _Kind("training", "Training", _training_detail),
        _Kind("compilation", "Compilation", _compilation_detail),
    )
}


def job_arns(answer: Any) -> Iterator[tuple[str, str]]:
    """The jobs that a service's answer to a task names: (field of the answer, ARN or id)."""
    if not isinstance(answer, dict):
        return
    yield from ((key, answer[key]) for key in _KINDS if isinstance(answer.get(key), str))
    if isinstance(answer.get("Build"), dict):
        yield "Build", answer["Build"]["Id"]


def describe_job(clients: Clients, key: str, arn: str) -> Job:
    """Read one job that `job_arns` found."""
    if key == "Build":
        return _describe_build(clients, arn)
    kind, name = _KINDS[key], arn.rsplit("/", 1)[1]
    job = getattr(clients("sagemaker"), kind.operation)(**{f"{kind.capital}JobName": name})
    return Job(
        kind=kind.kind,
        name=name,
        status=job[f"{kind.capital}JobStatus"],
        reason=job.get("FailureReason") or job.get("ExitMessage") or kind.stopped(job),
        detail=kind.detail(job),
        # https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
        log=f"CloudWatch /aws/sagemaker/{kind.capital}Jobs, streams {name}/",
    )


def _describe_build(clients: Clients, build_id: str) -> Job:
    (build,) = clients("codebuild").batch_get_builds(ids=[build_id])["builds"]
    logs = build.get("logs", {})
    failed = [phase for phase in build.get("phases", []) if phase.get("phaseStatus") == "FAILED"]
    reason = "; ".join(context.get("message", "") for phase in failed for context in phase.get("contexts", []))
    return Job(
        kind="build",
        name=build_id,
        status=build["buildStatus"],
        reason=reason,
        detail=build.get("currentPhase", ""),
        log=f"CloudWatch {logs.get('groupName', '')} {logs.get('streamName', '')}".strip(),
    )
