"""The demo's core devices: three cameras on this machine, one of them the canary."""

import platform
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from console import provisioning
from console.demo.measure import Line, read_lines
from console.devices import Device, DeviceReader
from console.errors import Failure
from console.photos import Photo
from console.project import Project
from offline.broker import Broker, Published
from offline.device import CoreDevice, install
from offline.state import State
from reefloop.contracts import CLASSIFIER_COMPONENT

THINGS: Final[Mapping[str, str]] = {
    "reef-canary": "canary",
    "reef-north": "fleet",
    "reef-south": "fleet",
}
PATIENCE_SECONDS: Final = 60.0
PASSING_SECONDS: Final = 0.06
"""Between two animals before a camera: more than half of the laptop stage's visit_gap_seconds, so that each is one."""
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "aarch64"}


@dataclass
class Fleet:
    """The cameras between provisioning and the end of the block."""

    state: State
    project: Project
    cameras: dict[str, CoreDevice] = field(default_factory=dict)
    fed: dict[str, list[Photo]] = field(default_factory=dict)
    message_bytes: Counter[str] = field(default_factory=Counter)
    """Topics and payloads that each camera published, whatever came twice included."""

    def __enter__(self) -> Self:
        self.state.only(Broker).listen(self._heard)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def provision(self) -> None:
        """Make every camera a device as `console device add` does, and power it on."""
        machine = platform.machine()
        for thing, group in THINGS.items():
            folder = self.state.folder / "devices" / thing
            identity = provisioning.add(self.state.client, self.project, thing, group=group, folder=folder)
            camera = install(
                self.state,
                thing,
                certificate_arn=identity.certificate_arn,
                platform={"architecture": _ARCHITECTURES.get(machine, machine)},
                role_alias=self.project.output("deployment", "RoleAlias"),
            )
            self.cameras[thing] = camera
            camera.start()

    def stop(self) -> None:
        """Power every camera off; what they reported stays in the account."""
        for camera in self.cameras.values():
            camera.stop()

    def feed(self, photos: Sequence[Photo]) -> None:
        """Let something swim by: hand each photograph to one camera, in turn."""
        for photo, (thing, camera) in zip(photos, cycle(self.cameras.items()), strict=False):
            # Renamed into the folder: the classifier must never read half a frame.
            draft = camera.frames.parent / f".{photo.name}"
            shutil.copyfile(photo.path, draft)
            draft.replace(camera.frames / photo.name)
            time.sleep(PASSING_SECONDS / len(self.cameras))
            self.fed.setdefault(thing, []).append(photo)

    def results(self, thing: str) -> list[Line]:
        """What a camera's log says of every frame that it classified."""
        logs = (self._work(thing) / "results").glob("*.jsonl")
        return [line for log in sorted(logs) for line in read_lines(log.read_text())]

    def all_results(self) -> list[Line]:
        return [line for thing in self.cameras for line in self.results(thing)]

    def bytes_fed(self) -> int:
        """What devices would have sent that send every frame."""
        return sum(photo.path.stat().st_size for photos in self.fed.values() for photo in photos)

    def wait_for_model(self, reader: DeviceReader, version: str, show: Callable[[Sequence[Device]], None]) -> None:
        """Wait until every camera serves the model.

        Raises:
            Failure: a camera refused it, or one does not serve it in time.
        """
        for devices in _patiently(reader, show):
            if refused := [device for device in devices if device.self_test == "failed"]:
                raise Failure(f"{refused[0].thing} refused model {refused[0].model_version}: {refused[0].reason}")
            waiting = [device.thing for device in devices if not (device.serves and device.model_version == version)]
            if devices and not waiting:
                return
        raise Failure(f"{', '.join(waiting)} did not serve model {version} within {PATIENCE_SECONDS:.0f} s")

    def wait_for_frames(self, reader: DeviceReader, show: Callable[[Sequence[Device]], None]) -> None:
        """Wait until every frame is classified and every camera has summed up what it saw and sent what it doubted.

        Raises:
            Failure: that does not happen in time.
        """
        for devices in _patiently(reader, show):
            behind = [device.thing for device in devices if device.frames < len(self.fed.get(device.thing, ()))]
            if not behind and not any(self._waiting(thing) for thing in self.cameras):
                return
        told = ", ".join(f"{device.thing} {device.frames} of {len(self.fed[device.thing])}" for device in devices)
        raise Failure(f"devices did not classify their frames within {PATIENCE_SECONDS:.0f} s: {told}")

    def _waiting(self, thing: str) -> bool:
        """Whether a frame of a camera has still to be sent: its spool keeps it until S3 has it.

        The classifier has the files of its spool to itself, so a copy is read; one that was taken while a page was
        written tells nothing.
        """
        files = [path for path in (self._work(thing) / "spool").glob("spool.db*") if path.is_file()]
        if not files:
            return False
        with tempfile.TemporaryDirectory() as place:
            try:
                for path in files:
                    shutil.copyfile(path, Path(place) / path.name)
                with closing(sqlite3.connect(Path(place) / "spool.db")) as database:
                    (count,) = database.execute("SELECT COUNT(*) FROM uploads").fetchone()
            except (sqlite3.Error, OSError):
                return True
        return bool(count)

    def _work(self, thing: str) -> Path:
        return self.cameras[thing].root / "work" / CLASSIFIER_COMPONENT

    def _heard(self, message: Published) -> None:
        self.message_bytes[message.client] += len(message.topic.encode()) + len(message.payload)


def _patiently(reader: DeviceReader, show: Callable[[Sequence[Device]], None]) -> Iterator[Sequence[Device]]:
    """The devices again and again, until patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        devices = reader.read()
        show(devices)
        yield devices
        time.sleep(0.5)
