"""The raw answers of a round's people, as Ground Truth leaves them behind.

    labeling-jobs/<job>/manifests/output/output.manifest                             one line per object
    labeling-jobs/<job>/annotations/worker-response/iteration-<n>/<line>/<time>.json  the answers to that line's object

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import manifest
from jobs.errors import JobError
from jobs.paths import read_json


@dataclass(frozen=True)
class Answer:
    worker: str
    label: str
    seconds: float | None


@dataclass
class Round:
    """Everything that was answered in a round."""

    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    """By source-ref and worker; of a worker's several answers to one object the latest counts."""
    unknown_labels: int = 0
    """Answers that name no category. They say nothing, so they are counted and left out."""
    unfinished_jobs: list[str] = field(default_factory=list)
    """Labeling jobs without an output manifest: they failed or were stopped."""


def read(folder: Path, categories: list[str]) -> Round:
    """Read every labeling job of a round's folder.

    Raises:
        JobError: a response that cannot be read, or one to a line that the manifest does not have.
    """
    found, known = Round(), set(categories)
    jobs = [path for path in folder.glob("labeling-jobs/*") if path.is_dir()]
    for job in sorted(jobs):
        output = job / "manifests" / "output" / "output.manifest"
        if not output.exists():
            found.unfinished_jobs.append(job.name)
            continue
        objects = {entry.number - 1: entry.source_ref for entry in manifest.read(output)}
        for path in _responses(job / "annotations" / "worker-response"):
            try:
                source_ref = objects[int(path.parent.name)]
            except (ValueError, KeyError):
                raise JobError(f"{path} answers line {path.parent.name!r}, which {output} does not have") from None
            for answer in _answers(path):
                if answer.label in known:
                    found.answers.setdefault(source_ref, {})[answer.worker] = answer
                else:
                    found.unknown_labels += 1
    return found


def _responses(folder: Path) -> list[Path]:
    """The response files in the order in which they were written."""
    return sorted(folder.glob("iteration-*/*/*.json"), key=lambda path: (_iteration(path), path.name))


def _iteration(path: Path) -> int:
    number = path.parents[1].name.removeprefix("iteration-")
    return int(number) if number.isdecimal() else 0


def _answers(path: Path) -> Iterator[Answer]:
    document = read_json(path)
    try:
        for answer in document["answers"]:
            content: dict[str, Any] = answer["answerContent"]["crowd-image-classifier"]
            seconds = answer.get("timeSpentInSeconds")
            yield Answer(str(answer["workerId"]), str(content["label"]), None if seconds is None else float(seconds))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise JobError(f"{path} is not a worker response of an image classification: {error!r}") from None
