"""Where SageMaker puts a job's files, under $ML_ROOT (default /opt/ml).

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jobs.errors import JobError


@dataclass(frozen=True)
class Root:
    """The root of one job's files."""

    path: Path

    @classmethod
    def from_environment(cls) -> Self:
        return cls(Path(os.environ.get("ML_ROOT", "/opt/ml")))

    @property
    def hyperparameters(self) -> Path:
        return self.path / "input" / "config" / "hyperparameters.json"

    @property
    def resources(self) -> Path:
        return self.path / "input" / "config" / "resourceconfig.json"

    @property
    def output_data(self) -> Path:
        """What a training job leaves beside its model."""
        return self.path / "output" / "data"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def channel(self, name: str) -> Path:
        """The folder of a training channel.

        Raises:
            JobError: the job was started without it.
        """
        return _existing(self.path / "input" / "data" / name, f"the training job has no channel {name!r}")

    def processing_input(self, name: str) -> Path:
        """The folder of a processing input.

        Raises:
            JobError: the job was started without it.
        """
        return _existing(self.path / "processing" / "input" / name, f"the processing job has no input {name!r}")

    def optional_input(self, name: str) -> Path | None:
        """The folder of a processing input that a job may lack, None when it does or when nothing is in it."""
        path = self.path / "processing" / "input" / name
        return path if path.is_dir() and any(path.iterdir()) else None

    def scratch(self, name: str) -> Path:
        """An empty folder on the job's own volume. What an interrupted run left there is removed."""
        path = self.path / "scratch" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def processing_output(self, name: str) -> Path:
        path = self.path / "processing" / "output" / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def object_key(source_ref: str) -> str:
    """The S3 key in a source-ref. Under the images folder an object lies at its key.

    Raises:
        JobError: not an S3 URI, or a key that would lead out of the folder.
    """
    scheme, _, path = source_ref.partition("://")
    bucket, _, key = path.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise JobError(f"source-ref {source_ref!r} is not of the form s3://bucket/key")
    if key.startswith("/") or (".." in key and ".." in key.split("/")):
        raise JobError(f"source-ref {source_ref!r} has a key that leaves its folder: rename the object")
    return key


def bucket_prefix(source_ref: str) -> str:
    """`s3://bucket/` of a source-ref."""
    return source_ref[: -len(object_key(source_ref))]


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well: readers see all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def image_list(path: Path, prefix: str) -> Iterator[Callable[[str], None]]:
    """The S3 ManifestFile of some objects of one bucket, written as their keys are handed over.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[\n" + json.dumps({"prefix": prefix}, ensure_ascii=False))

        def add(key: str) -> None:
            file.write(",\n" + json.dumps(key, ensure_ascii=False))

        yield add
        file.write("\n]\n")


def read_json(path: Path) -> Any:
    """
    Raises:
        JobError: missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JobError(f"{path} is missing") from None
    except (ValueError, RecursionError) as error:
        raise JobError(f"{path} is not JSON: {error}") from None


def _existing(path: Path, problem: str) -> Path:
    if not path.is_dir():
        raise JobError(f"{problem}: expected its files in {path}")
    return path
