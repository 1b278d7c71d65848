"""What the keeper must remember over the end of its process: one small file, replaced whole."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from classifier.models.copies import flush
from classifier.models.proof import Proof


@dataclass(frozen=True)
class Trial:
    """A new model on probation. Models are named by their fingerprints."""

    model: str
    before: str
    """The model to go back to."""
    begun: int
    """Processes that began to serve it and have not come to a clean end, and times that it failed in one."""
    process: str
    """The last that began to serve it."""


@dataclass(frozen=True)
class Refusal:
    """A model that failed its probation."""

    model: str
    reason: str


@dataclass(frozen=True)
class State:
    """`proofs` holds on the machinery that is named in `proved_with`, and on no other."""

    trial: Trial | None = None
    refusal: Refusal | None = None
    proofs: dict[str, Proof] = field(default_factory=dict)
    proved_with: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """What was written last; nothing remembered if that is not there or makes no sense."""
        try:
            found = json.loads(path.read_bytes())
            trial, refusal = found["trial"], found["refusal"]
            if trial and trial["model"] == trial["before"]:
                raise ValueError("a model cannot go back to itself")
            return cls(
                trial=_trial(trial) if trial else None,
                refusal=Refusal(str(refusal["model"]), str(refusal["reason"])) if refusal else None,
                proofs={str(name): _proof(proof) for name, proof in found["proofs"].items()},
                proved_with=str(found["proved_with"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls()

    def write(self, path: Path) -> None:
        """
        Raises:
            OSError: the disk does not take it; what was written before is still there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(json.dumps(asdict(self)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        flush(path.parent)


def _trial(found: Any) -> Trial:
    return Trial(str(found["model"]), str(found["before"]), int(found["begun"]), str(found["process"]))


def _proof(found: Any) -> Proof:
    return Proof(str(found["runtime"]), float(found["median_ms"]), str(found["notes"]))
