"""An uplink that keeps what it gets, and a device's work folder with a camera's frames in it."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from classifier.options import Options
from classifier.pipeline import Pipeline
from classifier.uplink import Offline, Refusal

from tests.edge import model_packages

THING = "reef-1"


class Cloud:
    """Stands where S3 stands. `link` up or down; `refuses` names keys that it does not take."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.link = True
        self.refuses: Callable[[str], bool] = lambda _: False

    def send(self, key: str, content: bytes) -> None:
        if not self.link:
            raise Offline("no route to host")
        if self.refuses(key):
            raise Refusal("AccessDenied")
        self.objects[key] = content

    def json(self, key: str) -> Any:
        return json.loads(self.objects[key])

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    @property
    def status(self) -> Any:
        return self.json(f"devices/{THING}/status.json")

    @property
    def summaries(self) -> list[Any]:
        return [self.json(key) for key in self.keys(f"devices/{THING}/summaries/")]


class Device:
    """The folders of one device, and the component run over them."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder, self.cloud = folder, cloud
        self.work = folder / "work" / "reefloop.Classifier"
        self.frames = self.work / "frames"
        self.link = folder / "work" / "reefloop.Model" / "current"
        self.frames.mkdir(parents=True)
        self.link.parent.mkdir(parents=True)

    def options(self, **changes: Any) -> Options:
        given = {
            "thing": THING,
            "bucket": "data",
            "work": self.work,
            "frames": self.frames,
            "model": self.link,
            "summary_seconds": 3600.0,
            "review_frames_per_hour": 3600,
            "poll_seconds": 0.05,
            "threads": 1,
            "keep_frames": 100,
            "once": False,
        }
        return Options(**(given | changes))

    def pipeline(self, stop: threading.Event | None = None, **changes: Any) -> Pipeline:
        return Pipeline(self.options(**changes), self.cloud, stop or threading.Event())

    def once(self, **changes: Any) -> None:
        """Power on, deal with what is there, power off."""
        self.pipeline(**changes).once()

    def deploy(self, version: str, **contents: Any) -> Path:
        """What the model component does: a new package, and the link to it."""
        package = model_packages.write(self.folder / "packages" / version, version=version, **contents)
        self.point(package)
        return package

    def point(self, package: Path) -> None:
        fresh = self.link.with_name("new")
        fresh.symlink_to(package)
        fresh.replace(self.link)

    def see(self, name: str, content: bytes) -> None:
        (self.frames / name).write_bytes(content)

    @property
    def results(self) -> list[dict[str, Any]]:
        files = sorted((self.work / "results").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def device(tmp_path: Path, cloud: Cloud) -> Device:
    return Device(tmp_path, cloud)
