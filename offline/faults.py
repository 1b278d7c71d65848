"""Faults on demand: what a test asks the account to refuse, fail or stall, each so many times."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JobKind = Literal["labeling", "training", "processing", "compilation", "build", "endpoint"]
JobFate = Literal["fail", "stall", "expire", "starve"]


@dataclass(frozen=True)
class Refusal:
    """The error that an API call gets instead of its answer."""

    code: str
    message: str


@dataclass(frozen=True)
class JobFault:
    """What becomes of a job: `fail` ends it with the reason, `stall` keeps it running until it is stopped.

    An endpoint counts as one: it fails instead of serving, or is made until somebody tries to delete it.

    A labeling job meets its fate when people have answered about `after_objects` objects; `expire` lets the time pass
    in which its tasks are available. `starve` lets the time pass in which a training job waits for spot capacity.
    """

    fate: JobFate
    reason: str = ""
    after_objects: int = 0


@dataclass(frozen=True)
class Interruption:
    """The spot instances of a training job are taken away when its log says `after`; `for_good` if it gets no others
    while it may wait for them."""

    after: str
    for_good: bool


@dataclass
class _Planned:
    what: Refusal | JobFault | Interruption
    match: Callable[[Mapping[str, Any]], bool]
    times: int


@dataclass
class Faults:
    """The faults planned for one account. Safe to use from any thread."""

    _planned: dict[str, list[_Planned]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(
        self,
        operation: str,
        code: str,
        message: str,
        *,
        times: int = 1,
        match: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> None:
        """Refuse the next `times` calls of `operation` ("sagemaker:CreateTrainingJob") whose parameters match."""
        self._plan(operation, _Planned(Refusal(code, message), match, times))

    def fail_job(
        self,
        kind: JobKind,
        reason: str,
        *,
        times: int = 1,
        after_objects: int = 0,
        match: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> None:
        """End the next `times` jobs of this kind whose create request matches as Failed, with this reason."""
        self._plan(kind, _Planned(JobFault("fail", reason, after_objects), match, times))

    def stall_job(
        self,
        kind: JobKind,
        *,
        times: int = 1,
        after_objects: int = 0,
        match: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> None:
        """Let the next `times` jobs of this kind run until somebody stops them."""
        self._plan(kind, _Planned(JobFault("stall", after_objects=after_objects), match, times))

    def expire_labeling(
        self,
        *,
        times: int = 1,
        after_objects: int = 0,
        match: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> None:
        """Let people leave the next `times` labeling jobs after some objects, and let the rest of the tasks expire.

        Nobody waits for it: TaskAvailabilityLifetimeInSeconds passes at once.
        """
        self._plan("labeling", _Planned(JobFault("expire", after_objects=after_objects), match, times))

    def starve_training(self, *, times: int = 1, match: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> None:
        """Let the next `times` spot trainings get no instances. Nobody waits: MaxWaitTimeInSeconds passes at once."""
        self._plan("training", _Planned(JobFault("starve"), lambda one: _is_spot(one) and match(one), times))

    def interrupt_training(
        self,
        *,
        times: int = 1,
        after: str = "epoch=",
        for_good: bool = False,
        match: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> None:
        """Take the instances of spot trainings away `times` times, each time when a line of the log has `after`.

        The containers get SIGTERM and some seconds. Then the job starts again on other instances, which have nothing
        but its checkpoints; or, `for_good`, there are none for longer than it waits.
        """
        self._plan("interruption", _Planned(Interruption(after, for_good), match, times))

    def take_refusal(self, operation: str, parameters: Mapping[str, Any]) -> Refusal | None:
        """The refusal planned for this call, used up by asking; None lets the call through."""
        what = self._take(operation, parameters)
        return what if isinstance(what, Refusal) else None

    def take_job(self, kind: JobKind, request: Mapping[str, Any]) -> JobFault | None:
        """The fate planned for this job, used up by asking; None lets the job run."""
        what = self._take(kind, request)
        return what if isinstance(what, JobFault) else None

    def take_interruption(self, request: Mapping[str, Any]) -> Interruption | None:
        """What takes the instances away that this spot training is about to get, used up by asking."""
        what = self._take("interruption", request)
        return what if isinstance(what, Interruption) else None

    def clear(self) -> None:
        """Forget every planned fault."""
        with self._lock:
            self._planned.clear()

    def _plan(self, name: str, planned: _Planned) -> None:
        with self._lock:
            self._planned.setdefault(name, []).append(planned)

    def _take(self, name: str, parameters: Mapping[str, Any]) -> Refusal | JobFault | Interruption | None:
        with self._lock:
            for planned in self._planned.get(name, []):
                if planned.times > 0 and planned.match(parameters):
                    planned.times -= 1
                    return planned.what
        return None


def _is_spot(request: Mapping[str, Any]) -> bool:
    return bool(request.get("EnableManagedSpotTraining"))
