"""A data bucket on disk and the jobs of a round run on it, as SageMaker would lay out their files."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobs.__main__ import main
from jobs.manifest import labeled

BUCKET = "s3://data-bucket/"
ATTRIBUTE = "species"
LISTED = "2026-01-31T12:00:00+00:00"
"""When the pools were listed."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@dataclass
class Bucket:
    """Objects by key under one folder, and the truth about the images."""

    folder: Path
    categories: list[str]
    truth: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        document = {"document-version": "2018-11-28", "labels": [{"label": name} for name in self.categories]}
        path = self.folder / "gold" / "label-categories.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))

    def put_image(self, key: str, content: bytes, truth: str) -> dict[str, str]:
        """Store an image; its line in a pool manifest."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.truth[BUCKET + key] = truth
        return {"source-ref": BUCKET + key, "content": hashlib.sha256(content).hexdigest()}

    def put_gold(self, lines: Iterable[Mapping[str, str]]) -> None:
        path = self.folder / "gold" / "gold.manifest"
        write_lines(path, [self.labeled(line, self.truth[line["source-ref"]], job_name="gold") for line in lines])

    def labeled(self, line: Mapping[str, str], name: str, job_name: str = "job") -> dict[str, Any]:
        return labeled(line, ATTRIBUTE, self.categories, name, by_human=True, confidence=1, job_name=job_name)

    def round(self, name: str) -> Path:
        return self.folder / "rounds" / name

    def dataset(self, name: str) -> Path:
        return self.folder / "datasets" / name

    def answer(
        self,
        round_: str,
        answers: Mapping[str, Mapping[str, str]],
        job: str = "job-0",
        *,
        team: str = "labelers",
        tasks: Iterable[Mapping[str, Any]] | None = None,
        status: str = "Completed",
    ) -> Path:
        """A labeling job that asked about `tasks` (default: all of human.manifest), answered {ref: {worker: label}}.

        Returns:
            The folder of its worker responses.
        """
        folder = self.round(round_)
        lines = list(tasks) if tasks is not None else self.routed(round_, "human.manifest")
        write_lines(folder / "tasks" / team / f"{job}.manifest", lines)
        responses = folder / "labeling-jobs" / team / job / "annotations" / "worker-response" / "iteration-1"
        for index, line in enumerate(lines):
            if given := answers.get(line["source-ref"], {}):
                (responses / str(index)).mkdir(parents=True, exist_ok=True)
                document = {"answers": [response(worker, label) for worker, label in given.items()]}
                (responses / str(index) / "2026-01-31_12:00:00.json").write_text(json.dumps(document))
        listed = folder / "labeling-jobs.json"
        jobs = json.loads(listed.read_text()) if listed.exists() else []
        jobs.append({"job": job, "team": team, "tasks": f"tasks/{team}/{job}.manifest", "status": status})
        listed.write_text(json.dumps(jobs))
        return responses

    def found(self, round_: str, name: str) -> Any:
        """What a job wrote to a round's <name>.json."""
        return json.loads((self.round(round_) / f"{name}.json").read_text())

    def routed(self, round_: str, name: str) -> list[dict[str, Any]]:
        """The lines of every instance's part of a routing manifest."""
        parts = sorted((self.round(round_) / "routing").glob(f"*/{name}"))
        return [line for part in parts for line in read_lines(part)]


def response(worker: str, label: str, seconds: float = 3.5) -> dict[str, Any]:
    return {
        "acceptanceTime": "2026-01-31T12:00:00.000Z",
        "submissionTime": "2026-01-31T12:00:03.500Z",
        "timeSpentInSeconds": seconds,
        "answerContent": {"crowd-image-classifier": {"label": label}},
        "workerId": worker,
        "workerMetadata": {"identityData": {"sub": worker}},
    }


def score(
    bucket: Bucket,
    root: Path,
    round_: str,
    *,
    model: Path | None = None,
    previous: str | None = None,
    host: int = 0,
    hosts: int = 3,
    images: Iterable[Path] = (),
    **options: object,
) -> int:
    """Run the scoring job of a round whose pool.manifest exists.

    Args:
        host: which instance of `hosts` this is; 0 for the only one.
        images: the objects that this instance got, of the only one all.
    """
    shard = {f"images/{path.relative_to(bucket.folder)}": path for path in images}
    inputs = {
        "pool/pool.manifest": bucket.round(round_) / "pool.manifest",
        "gold": bucket.folder / "gold",
        **(shard if host else {"images/images": bucket.folder / "images"}),
        "known/gold": bucket.folder / "gold",
        "known/images": bucket.folder / "images",
    }
    if model:
        inputs["model/model.tar.gz"] = model
    if previous:
        inputs["previous"] = bucket.dataset(previous)
    chosen: dict[str, object] = {"label_attribute": ATTRIBUTE, "task": "classification", "bound": "pooled"}
    chosen |= {"error_budget": 0.05, "audit_share": 0.1, "honeypot_share": 0.1, "pool_listed": LISTED, **options}
    config = {"current_host": f"algo-{host}", "hosts": [f"algo-{number}" for number in range(1, hosts + 1)]}
    if host:
        (root / "config").mkdir(parents=True)
        (root / "config" / "resourceconfig.json").write_text(json.dumps(config))
    return _process(root, "score", inputs, {"routing": bucket.round(round_) / "routing"}, chosen)


def consolidate(bucket: Bucket, root: Path, round_: str, *, previous: str | None = None, **options: object) -> int:
    """Run the consolidation of a round."""
    inputs = {"round": bucket.round(round_), "gold": bucket.folder / "gold"}
    if previous:
        inputs["previous"] = bucket.dataset(previous)
    chosen = {"round": round_, "label_attribute": ATTRIBUTE, "task": "classification", "posterior_target": 0.9}
    chosen |= {"error_budget": 0.05, "minimum_worker_accuracy": 0.7, "baseline_objects": 0}
    chosen |= {"provider": "station", **options}
    return _process(root, "consolidate", inputs, {"round": bucket.round(round_)}, chosen)


def train(bucket: Bucket, root: Path, version: str, **hyperparameters: object) -> int:
    """Run the training of a dataset version; the model package is left in root/model."""
    chosen = {"model_version": f"{version}-1", "dataset_version": version, "label_attribute": ATTRIBUTE}
    chosen |= {"image_pixels": "32", "epochs": "2", "batch_size": "16", "learning_rate": "0.005", "seed": "1"}
    chosen |= {name: str(value) for name, value in hyperparameters.items()}
    config = root / "input" / "config" / "hyperparameters.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(chosen))
    _lay_out(root / "input" / "data", {"dataset": bucket.dataset(version), "images/images": bucket.folder / "images"})
    with ml_root(root):
        return main(["train"])


@contextmanager
def ml_root(root: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ROOT", str(root))
        yield


def _process(
    root: Path, verb: str, inputs: Mapping[str, Path], outputs: Mapping[str, Path], options: Mapping[str, object]
) -> int:
    _lay_out(root / "processing" / "input", inputs)
    shutil.rmtree(root / "processing" / "output", ignore_errors=True)
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    with ml_root(root):
        code = main([verb, *arguments])
    for name, target in outputs.items():
        if (source := root / "processing" / "output" / name).is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
    return code


def _lay_out(folder: Path, sources: Mapping[str, Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, source in sources.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():
            target.symlink_to(source.resolve())
