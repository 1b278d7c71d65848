"""The folder that SageMaker keeps equal to a place in S3, and fills from there when instances start.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import time
from pathlib import Path
from typing import Any, Final

from offline.runners import storage
from offline.runners.container import Container

_SECONDS: Final = 5.0


class Checkpoints:
    """The checkpoints of one host. Those of all hosts share one place: equal names overwrite each other, as in AWS."""

    def __init__(self, container: Container, s3: Any, config: dict[str, str] | None) -> None:
        self._uri = (config or {}).get("S3Uri", "").rstrip("/")
        self._folder = container.path((config or {}).get("LocalPath", "/opt/ml/checkpoints"))
        self._s3 = s3
        self._saved = time.monotonic()
        self._same: dict[str, tuple[int, int]] = {}
        """The files that are as they are in S3: their time and size."""

    def restore(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._uri:
            source = {"S3DataType": "S3Prefix", "S3Uri": f"{self._uri}/"}
            storage.download(self._s3, storage.listed(self._s3, source, allow_none=True), self._folder)
            self._same = self._found()

    def save_now_and_then(self) -> None:
        if time.monotonic() - self._saved > _SECONDS:
            self.save()

    def save(self) -> None:
        """Copy what changed, then delete what the job deleted."""
        if self._uri:
            found = self._found()
            changed = [self._folder / name for name, mark in found.items() if self._same.get(name) != mark]
            storage.upload(self._s3, self._folder, self._uri, files=changed)
            for name in self._same.keys() - found.keys():
                bucket, key = storage.split(f"{self._uri}/{name}")
                self._s3.delete_object(Bucket=bucket, Key=key)
            self._same = found
        self._saved = time.monotonic()

    def _found(self) -> dict[str, tuple[int, int]]:
        return {path.relative_to(self._folder).as_posix(): mark for path, mark in _marked(self._folder)}


def _marked(folder: Path) -> list[tuple[Path, tuple[int, int]]]:
    marked = []
    for path in sorted(folder.rglob("*")):
        try:
            about = path.stat()
        except FileNotFoundError:
            continue  # the job replaces its files while they are looked at
        if path.is_file():
            marked.append((path, (about.st_mtime_ns, about.st_size)))
    return marked
