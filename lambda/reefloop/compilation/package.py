"""Package: what one target's devices download, compiled or portable, as a ZIP that never changes."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from reefloop import contracts, environment, model_card, storage
from reefloop.compilation import artifact, failures
from reefloop.compilation.artifact import CompiledInvalid, NotPortable
from reefloop.compilation.targets import Target
from reefloop.payloads import Outcome, Package, Packaged, PackageInput, Parity, TargetRecord
from reefloop.processing import ProcessingInputs, s3_input


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    artifact_bucket: str


def handler(event: PackageInput, _context: object) -> Packaged:
    """Write models/<version>/packages/<digest>/<target>.zip into the artifact bucket, once, and say how to measure it.

    Raises:
        ModelInvalid, ArchiveInvalid, ObjectMissing: no target of this model can have a package; the message says why.
    """
    env = environment.read(Environment)
    package = make(
        data_bucket=env.data_bucket,
        artifact_bucket=env.artifact_bucket,
        model_version=event["model_version"],
        record=event["record"],
        artifact_uri=event["artifact_uri"],
        inference_image=event["inference_image"],
        failure_reason=event["failure_reason"],
    )
    inputs: ProcessingInputs = []
    if package["outcome"] == "compiled" and event["record"]["measured_on"]:
        inputs = _inputs(env, event["model_version"], package)
    return Packaged(package=package, processing_inputs=inputs)


def make(
    *,
    data_bucket: str,
    artifact_bucket: str,
    model_version: str,
    record: TargetRecord,
    artifact_uri: str,
    inference_image: str,
    failure_reason: str,
    parity: Parity | None = None,
) -> Package:
    """The package of one target: compiled if there is something compiled, else the portable model if its policy allows.

    What the compiler wrote and cannot be used is the failure of this target, and of no other.

    Args:
        artifact_uri: what the compiler wrote; "" when compilation failed, or when it must not ship.
        failure_reason: why nothing compiled ships, in words that failures.explain takes.

    Raises:
        ModelInvalid, ArchiveInvalid, ObjectMissing: the model itself cannot be packed; the message says why.
    """
    write = partial(_write, data_bucket, artifact_bucket, model_version, record["name"])
    written = _Written("refused")
    if artifact_uri:
        try:
            written = write("compiled", artifact_uri)
        except CompiledInvalid as error:
            failure_reason = f"service: {error}"
    if written.outcome == "refused" and record["portable"]:
        with suppress(NotPortable):
            written = write("portable", "")
    compiled = written.outcome == "compiled"
    return Package(
        target=record["name"],
        outcome=written.outcome,
        delivery=Target.of(record).delivery,
        platform=record["greengrass"],
        runtime="onnxruntime" if written.outcome == "portable" else record["runtime"],
        key=written.key,
        bytes=written.size_bytes,
        artifact_uri=artifact_uri if compiled else "",
        inference_image=inference_image if compiled else "",
        failure=None if compiled else failures.explain(failure_reason),
        parity=parity,
    )


class _Written(NamedTuple):
    outcome: Outcome
    key: str = ""
    size_bytes: int = 0


def _write(
    data_bucket: str, artifact_bucket: str, version: str, target: str, outcome: Outcome, compiled_uri: str
) -> _Written:
    def source(name: str) -> str:
        return storage.uri(data_bucket, contracts.model_key(version, name))

    # Not the failure's text: it names a job, so a retry would make another artifact of the same content.
    about = {"target": target, "outcome": outcome, "model_version": version}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "package.zip")
        if contracts.is_own_model(version):
            artifact.of_own(path, source_uri=source("source/model.tar.gz"), compiled_uri=compiled_uri, about=about)
        else:
            artifact.of_trained(path, model_uri=source("model.tar.gz"), compiled_uri=compiled_uri, about=about)
        key = contracts.package_key(version, target, storage.digest(path))
        storage.put_once(artifact_bucket, key, path)
        return _Written(outcome, key, path.stat().st_size)


def _inputs(env: Environment, version: str, package: Package) -> ProcessingInputs:
    """Of the job that compares the package with its source: with the test split, where that is still there.

    A model from elsewhere has nothing to be compared by.
    """
    if contracts.is_own_model(version):
        return []
    inputs = [s3_input(env.artifact_bucket, "package", package["key"])]
    key = contracts.model_key(version, "model.json")
    card = model_card.parse(
        storage.read_json(env.data_bucket, key), source=storage.uri(env.data_bucket, key), model_version=version
    )
    images = contracts.dataset_key(card.model.dataset_version, "test-images.json")
    if storage.find(env.data_bucket, images):
        dataset = contracts.dataset_key(card.model.dataset_version)
        inputs += [
            s3_input(env.data_bucket, "dataset", dataset),
            s3_input(env.data_bucket, "images", images, manifest=True),
        ]
    return inputs
