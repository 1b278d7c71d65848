"""SageMaker's four kinds of jobs: one record each, moved through its states by the runner behind it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError

from offline.faults import JobKind
from offline.runners import Job, compilation, labeling, now, processing, run, training
from offline.state import State


@dataclass(frozen=True)
class Kind:
    """One kind of job: its names in the API, its words for a job's states, the fields that tell when it ran."""

    kind: JobKind
    work: Callable[[Job], None]
    summaries: str
    first: str = "InProgress"
    started: str = ""
    ended: str = ""
    upper: bool = False

    @property
    def prefix(self) -> str:
        """Training in CreateTrainingJob, TrainingJobName, ..."""
        return self.kind.capitalize()

    def word(self, status: str) -> str:
        """The API's word for one of InProgress, Completed, Failed, Stopping, Stopped."""
        return status.upper() if self.upper else status


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.kind: kind
        for kind in (
            Kind("labeling", labeling.work, "LabelingJobSummaryList", first="Initializing"),
            Kind(
                "training",
                training.work,
                "TrainingJobSummaries",
                started="TrainingStartTime",
                ended="TrainingEndTime",
            ),
            Kind(
                "processing",
                processing.work,
                "ProcessingJobSummaries",
                started="ProcessingStartTime",
                ended="ProcessingEndTime",
            ),
            Kind(
                "compilation",
                compilation.work,
                "CompilationJobSummaries",
                first="Starting",
                started="CompilationStartTime",
                ended="CompilationEndTime",
                upper=True,
            ),
        )
    }
)
_ENDED: Final = ("Completed", "Failed", "Stopped")
# A job stays in its first state for at least this long, so that no caller may count on having missed it.
FIRST_STATE_SECONDS: Final = 0.1


@dataclass
class Record:
    """What the account knows about one job."""

    kind: Kind
    name: str
    arn: str
    request: dict[str, Any]
    status: str
    created: datetime
    modified: datetime
    tags: list[dict[str, str]]
    fields: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    job: Job | None = None
    thread: threading.Thread | None = None
    timed_out: bool = False

    def describe(self) -> dict[str, Any]:
        """The answer of the kind's Describe call."""
        with self.lock:
            answer = {name: value for name, value in self.request.items() if name != "Tags"}
            if self.kind.kind == "labeling":
                answer["Tags"] = self.tags
            return answer | {
                f"{self.kind.prefix}JobName": self.name,
                f"{self.kind.prefix}JobArn": self.arn,
                f"{self.kind.prefix}JobStatus": self.kind.word(self.status),
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                **self.fields,
            }

    def report(self, fields: Mapping[str, Any]) -> None:
        with self.lock:
            self.fields.update(fields)
            self.modified = now()

    def become(self, status: str) -> None:
        """Go on to a state. What ended stays as it is, and what is stopping can only end."""
        with self.lock:
            if self.status not in _ENDED and (self.status != "Stopping" or status in _ENDED):
                self.status, self.modified = status, now()

    def phase(self, status: str, message: str) -> None:
        """Go on to a training job's secondary status, of which the API tells the whole history."""
        if self.kind.kind != "training":
            return
        with self.lock:
            at = now()
            history = self.fields.setdefault("SecondaryStatusTransitions", [])
            for entry in history[-1:]:
                entry["EndTime"] = at
            last = {"EndTime": at} if status in (*_ENDED, "MaxRuntimeExceeded", "MaxWaitTimeExceeded") else {}
            history.append({"Status": status, "StartTime": at, "StatusMessage": message, **last})
            self.fields["SecondaryStatus"] = status
            self.modified = at


class Jobs:
    """The jobs of one region; their names are taken for good, as in AWS."""

    def __init__(self, region: str, account_id: str) -> None:
        self._arn = f"arn:aws:sagemaker:{region}:{account_id}"
        self._records: dict[tuple[str, str], Record] = {}
        self._lock = threading.Lock()

    def create(self, kind: Kind, request: dict[str, Any], state: State) -> Record:
        name = request[f"{kind.prefix}JobName"]
        arn = f"{self._arn}:{kind.kind}-job/{name}"
        with self._lock:
            if (kind.kind, name.lower()) in self._records:
                raise ResourceInUseException(
                    f"{kind.prefix} job names must be unique within an AWS account and region, "
                    f"and a {kind.kind} job with this name already exists ({arn})"
                )
            at = now()
            record = Record(kind, name, arn, request, kind.first, at, at, list(request.get("Tags", [])))
            if kind.kind == "labeling":
                record.fields["LabelCounters"] = dict.fromkeys(labeling.COUNTERS, 0)
            record.phase("Starting", "Preparing the instances for training")
            self._records[kind.kind, name.lower()] = record
        record.job = Job(kind.kind, name, arn, request, state, record.report, record.phase)
        record.thread = threading.Thread(target=self._run, args=(record,), name=arn, daemon=True)
        record.thread.start()
        return record

    def find(self, kind: Kind, name: str) -> Record:
        try:
            return self._records[kind.kind, name.lower()]
        except KeyError:
            raise ResourceNotFound(f"Could not find requested job with name: {name}") from None

    def of(self, kind: Kind) -> list[Record]:
        return [record for (of, _), record in self._records.items() if of == kind.kind]

    def by_arn(self, arn: str) -> Record | None:
        return next((record for record in self._records.values() if record.arn == arn), None)

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records.values()))

    def stop(self, kind: Kind, name: str) -> None:
        record = self.find(kind, name)
        if record.status in _ENDED:
            raise ValidationError(
                f"The request was rejected because the {kind.kind} job is in status {kind.word(record.status)}."
            )
        record.become("Stopping")
        record.phase("Stopping", "Stopping the training job")
        if record.job:
            record.job.stopping.set()

    def delete(self, kind: Kind, name: str) -> None:
        record = self.find(kind, name)
        if record.status not in _ENDED:
            raise ValidationError(
                f"The {kind.kind} job {name} is in status {kind.word(record.status)}: it must end before it is deleted"
            )
        with self._lock:
            del self._records[kind.kind, record.name.lower()]

    def close(self) -> None:
        """Stop every job and wait until its processes are gone."""
        for record in self:
            if record.job and record.status not in _ENDED:
                record.job.stopping.set()
        for record in self:
            if record.thread:
                record.thread.join(timeout=15)

    def _run(self, record: Record) -> None:
        job, kind = record.job, record.kind
        assert job is not None  # noqa: S101  the thread starts after the job was set
        job.stopping.wait(FIRST_STATE_SECONDS)
        record.report({kind.started: now()} if kind.started else {})
        record.become("InProgress")
        timer = threading.Timer(_max_runtime_seconds(record), self._time_is_over, [record])
        timer.daemon = True
        timer.start()
        outcome = run(job, kind.work)
        timer.cancel()
        fields: dict[str, Any] = {kind.ended: now()} if kind.ended else {}
        status, reason = outcome.secondary or outcome.status, outcome.reason
        if record.timed_out and status == "Stopped":
            status, reason = "MaxRuntimeExceeded", "ClientError: the job ran longer than its MaxRuntimeInSeconds"
        if reason:
            fields["FailureReason"] = reason[:1024]
        record.report(fields)
        record.phase(status, reason or f"{status} the training job")
        record.become(outcome.status)

    @staticmethod
    def _time_is_over(record: Record) -> None:
        record.timed_out = True
        if record.job:
            record.job.stopping.set()


def _max_runtime_seconds(record: Record) -> float:
    return float((record.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 28 * 24 * 3600))
