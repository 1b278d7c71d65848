"""Replay: the component over recorded frames, in simulated time, and what it would have sent."""

import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from classifier import configuration as settings
from classifier import preprocess, sources
from classifier.configuration import Configuration
from classifier.frames import Frame
from classifier.models.package import REQUIRED
from classifier.pipeline.results import line
from classifier.pipeline.worker import Result, Taken
from classifier.simulation import Simulation

AFTERWARDS_SECONDS: Final = 60.0
"""What has not left a minute after the last frame still waits for the budget."""
_BUCKET: Final = "replay"


class Failed(Exception):
    """Nothing can be replayed; the message says why, and what to do."""


@dataclass(frozen=True)
class Alert:
    """An alert, so many seconds after the first frame."""

    seconds: float
    species: str
    probability: float
    frames: int


@dataclass(frozen=True)
class Sent:
    """A frame that was sent."""

    seconds: float
    frame: str
    reason: str
    label: str
    probability: float
    bytes: int


@dataclass(frozen=True)
class Report:
    """What the component would have sent."""

    model: str
    seconds: float
    frames: int
    unreadable: int
    visits: dict[str, int]
    alerts: tuple[Alert, ...]
    sent: tuple[Sent, ...]
    waiting: int
    """Records and frames that the budget kept back."""
    bytes: dict[str, int]
    """On the link, by kind, with headers and all."""
    everything_bytes: int
    """The bare JSON of every result and the bare bytes of every frame, for comparison."""

    def table(self) -> str:
        """For people."""
        rows = [
            ("model", [self.model]),
            ("frames", [f"{self.frames:,} in {self.seconds:,.0f} s, {self.unreadable:,} unreadable"]),
            ("visits", [f"{species} {count:,}" for species, count in sorted(self.visits.items())]),
            ("alerts", [f"{each.seconds:9,.1f} s  {each.species} {each.probability:.2f}" for each in self.alerts]),
            ("frames sent", [_sent(each) for each in self.sent]),
            ("waiting", [f"{self.waiting:,} for want of budget"] if self.waiting else []),
            ("bytes", [f"{kind} {count:,}" for kind, count in self.bytes.items()]),
            ("in all", [self._share()]),
        ]
        return "\n".join(
            f"{name if not number else '':<12}{text}"
            for name, texts in rows
            for number, text in enumerate(texts or ["none"])
        )

    def _share(self) -> str:
        total = sum(self.bytes.values())
        share = f", {total / self.everything_bytes:.2%}" if self.everything_bytes else ""
        return f"{total:,} bytes; to send every result and frame: {self.everything_bytes:,}{share}"


def report(
    path: Path,
    model: Path,
    *,
    configuration: Path | None = None,
    frames_per_second: float | None = None,
) -> Report:
    """Replay a folder of images or a video file.

    Raises:
        Failed: there is no such thing, or no model that passes its self-test.
    """
    asked = _configured(configuration, path, frames_per_second)
    _check(path, model)
    with tempfile.TemporaryDirectory(prefix="reefloop-replay-") as work:
        return _played(Simulation(Path(work), asked, model=model.resolve()), asked, path)


def _configured(file: Path | None, path: Path, frames_per_second: float | None) -> Configuration:
    try:
        document = settings.read(file) if file else {}
        if frames_per_second is not None:
            document["frames_per_second"] = frames_per_second
        found = settings.parse(document)
    except settings.Invalid as error:
        raise Failed(f"the configuration is not valid: {error}") from None
    kind = "folder" if path.is_dir() else "video"
    return replace(found, source=f"{kind}:{path.resolve()}", bucket=found.bucket or _BUCKET)


def _check(path: Path, model: Path) -> None:
    if not path.exists():
        raise Failed(f"there is no {path}; give a folder of images, or a video file")
    if path.is_dir() and not any(each.is_file() and not each.name.startswith(".") for each in path.iterdir()):
        raise Failed(f"there are no frames in {path}; give a folder of images, or a video file")
    if missing := [name for name in REQUIRED if not (model / name).is_file()]:
        raise Failed(
            f"{model} is no model package: {missing[0]} is missing in it; "
            "unpack an artifact of the component reefloop.Model, packages/<target>.zip of a training run"
        )


def _played(simulation: Simulation, configuration: Configuration, path: Path) -> Report:
    outcome = simulation.begin()
    if outcome is None or outcome.model is None:
        raise Failed(f"the model does not pass its self-test: {outcome.reason if outcome else 'it is not found'}")
    version = outcome.version
    clock, begun, wall = simulation.clock, simulation.clock.elapsed(), simulation.clock.wall()
    everything = Everything(version, wall - begun)
    source = sources.open(configuration, Path("/"), clock, replayed=True)
    simulation.play(source, seen=everything.add)
    seconds = clock.elapsed() - begun
    missed = simulation.parts.health.missed
    if not simulation.frames:
        raise Failed(f"there are no frames in {path}: {simulation.trouble or 'it holds no files'}")
    simulation.finish(seconds=AFTERWARDS_SECONDS)
    cloud = simulation.cloud
    visits: Counter[str] = Counter()
    for summary in cloud.of("summary"):
        visits.update({species: told["visits"] for species, told in summary.body["species"].items()})
    return Report(
        model=version,
        seconds=round(seconds, 3),
        frames=simulation.frames,
        unreadable=missed.unreadable,
        visits={species: count for species, count in sorted(visits.items()) if count},
        alerts=tuple(
            Alert(
                round(each.at / 1000 - wall, 2),
                each.body["species"],
                each.body["probability"],
                each.body["frames"],
            )
            for each in cloud.of("alert")
        ),
        sent=tuple(
            Sent(
                round(each.at - begun, 2),
                each.metadata["frame"],
                each.metadata["reason"],
                each.metadata["label"],
                float(each.metadata["probability"]),
                each.bytes,
            )
            for each in cloud.uploads
        ),
        waiting=simulation.waiting,
        bytes={kind: cloud.bytes[kind] for kind in ("alert", "health", "summary", "frame")},
        everything_bytes=everything.bytes,
    )


class Everything:
    """What a device would send that publishes each result and uploads each frame, bare."""

    def __init__(self, version: str, epoch: float) -> None:
        self.bytes = 0
        self._version, self._epoch = version, epoch

    def add(self, taken: Taken) -> None:
        """A frame; its result is taken to be like any other."""
        result = Result(taken.frame.name, "label", 0.123456, self._version)
        self.bytes += len(line(result, at=self._epoch + taken.frame.taken)) + len(_content(taken.frame))


def _content(frame: Frame) -> bytes:
    return frame.content if frame.content is not None else preprocess.encoded(frame, most_bytes=sys.maxsize)[0]


def _sent(sent: Sent) -> str:
    return f"{sent.seconds:9,.1f} s  {sent.reason:<10}{sent.frame}: {sent.label} {sent.probability:.2f}"


def main(path: Path, model: Path, *, configuration: Path | None, frames_per_second: float | None, as_json: bool) -> int:
    """Print the report; the exit code."""
    found = report(path, model, configuration=configuration, frames_per_second=frames_per_second)
    print(json.dumps(asdict(found), indent=2) if as_json else found.table())
    return 0
