"""Judge: whether a compiled model may ship, by what the comparison with its source found."""

import json
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from reefloop import contracts, environment, storage
from reefloop.compilation import package, parity
from reefloop.payloads import CompilationTarget, Package, Packaged


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    artifact_bucket: str
    max_accuracy_loss: float


class MeasurementError(TypedDict, total=False):
    """What was caught of a comparison that failed; empty when it did not."""

    Error: str
    Cause: str


class Event(TypedDict):
    model_version: str
    target: CompilationTarget
    packaged: Packaged
    error: NotRequired[MeasurementError | None]


def handler(event: Event, _context: object) -> Package:
    """The package with its parity; or the target packaged again without the compiled files when these cannot be
    shown to be as good as their source. What came without a runtime that starts in the job is nobody's to measure and
    ships as it is: its device tests it on the golden images.

    Raises:
        ModelInvalid, ArchiveInvalid, ObjectMissing: the model itself cannot be packed; the message says why.
    """
    env = environment.read(Environment)
    packaged, version, record = event["packaged"]["package"], event["model_version"], event["target"]["record"]
    found = _found(env.data_bucket, event)
    if not found["loads"] and not found["runtime"]:
        print(f"{record['name']} was not measured: {found['reason']}")
        return packaged
    figures = parity.of(found) if found["loads"] else None
    fault = parity.loss(figures, env.max_accuracy_loss) if figures else found["reason"]
    if not fault:
        return {**packaged, "parity": figures}
    return package.make(
        data_bucket=env.data_bucket,
        artifact_bucket=env.artifact_bucket,
        model_version=version,
        record=record,
        artifact_uri="",
        inference_image="",
        failure_reason=f"parity: {fault}",
        parity=figures,
    )


def _found(bucket: str, event: Event) -> dict[str, Any]:
    """comparison.json; where there is none of this package, the same fields saying that it could not be made.

    The file of an earlier execution, or of one at the same time, is about another package.
    """
    target = event["target"]
    if error := event.get("error"):
        return _unmeasured(target, _reason(error))
    key = contracts.model_key(event["model_version"], f"comparisons/{target['name']}/comparison.json")
    try:
        found: dict[str, Any] = storage.read_json(bucket, key)
    except (storage.ObjectMissing, storage.ObjectInvalid) as fault:
        return _unmeasured(target, str(fault))
    digest = str(found.get("package"))[: storage.DIGEST_DIGITS]
    if contracts.package_key(event["model_version"], target["name"], digest) != event["packaged"]["package"]["key"]:
        return _unmeasured(target, f"{storage.uri(bucket, key)} is about another package: start the stage again")
    return found


def _unmeasured(target: CompilationTarget, reason: str) -> dict[str, Any]:
    reason = f"it could not be measured on {target['instance_type']}: {reason}"
    return {"loads": False, "reason": reason, "runtime": "unknown"}


def _reason(error: MeasurementError) -> str:
    """The job's own words, where there was a job: the cause of one that failed is its description.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
    """
    cause = error.get("Cause", "")
    try:
        job = json.loads(cause)
    except ValueError:
        job = None
    if not isinstance(job, dict):
        return f"{error.get('Error', 'unknown error')}: {cause}"
    said = job.get("ExitMessage") or job.get("FailureReason")
    return str(said or f"the job is {job.get('ProcessingJobStatus', 'unknown')}")
