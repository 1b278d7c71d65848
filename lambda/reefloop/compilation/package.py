"""Package: what one target's devices download, compiled or portable, as a ZIP that never changes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from reefloop import contracts, environment, storage
from reefloop.compilation import artifact
from reefloop.compilation.targets import TARGETS
from reefloop.payloads import Outcome, Package

# The reasons of all targets travel together through state machines, whose payloads end at 256 KiB.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_REASON_CHARACTERS: Final = 1000


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    artifact_bucket: str


class Event(TypedDict):
    """`artifact_uri` is "" when compilation failed; `failure_reason` is "" when it did not."""

    model_version: str
    name: str
    artifact_uri: str
    failure_reason: str


def handler(event: Event, _context: object) -> Package:
    """Write models/<version>/packages/<digest>/<target>.zip into the artifact bucket, once.

    A target whose compilation failed gets the portable model if its policy allows, else nothing.

    Raises:
        ModelInvalid, ArchiveInvalid, ObjectMissing: the message says what to do.
    """
    env = environment.read(Environment)
    version, name = event["model_version"], event["name"]
    outcome: Outcome = "compiled" if event["artifact_uri"] else "portable" if TARGETS[name].portable else "refused"
    package = Package(
        target=name, outcome=outcome, key="", bytes=0, failure_reason=event["failure_reason"][:_REASON_CHARACTERS]
    )
    if outcome == "refused":
        return package
    model_uri = storage.uri(env.data_bucket, contracts.model_key(version, "model.tar.gz"))
    # Not the failure's text: it names a job, so a retry would make another artifact of the same content.
    about = {"target": name, "outcome": outcome, "model_version": version}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "package.zip")
        artifact.build(path, model_uri=model_uri, compiled_uri=event["artifact_uri"], about=about)
        key = contracts.package_key(version, name, storage.digest(path))
        storage.put_once(env.artifact_bucket, key, path)
        return {**package, "key": key, "bytes": path.stat().st_size}
