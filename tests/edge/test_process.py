"""The component as a process of its own, with a real model and real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from classifier import spool
from classifier.clock import SystemClock
from classifier.ration import BURST

from tests.edge import model_packages
from tests.edge.device import THING, eventually
from tests.edge.model_packages import image

COMPONENT = Path(__file__).parents[2] / "edge" / "reefloop.Classifier"
SETTINGS = {"results_mib": 1, "poll_seconds": 0.05, "watch_list": ["red"], "alert_frames": 1, "bucket": ""}
PATIENCE_SECONDS = 60
ENDING_SECONDS = 15
"""Then Greengrass kills it, if the recipe says nothing else."""


class Home:
    """A work folder, and a camera that writes into it."""

    def __init__(self, folder: Path) -> None:
        self.work, self.folder = folder / "work", folder
        self.frames = self.work / "frames"
        self.frames.mkdir(parents=True)
        model_packages.write(folder / "m1", version="m1")
        (folder / "settings.json").write_text(json.dumps(SETTINGS))

    def see(self, *names: str) -> None:
        for name in names:
            (self.folder / name).write_bytes(image(name.split("-")[0]))
            (self.folder / name).rename(self.frames / name)

    def done(self) -> set[str]:
        folder = self.work / "done"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "classifier", "--work", str(self.work), "--model", str(self.folder / "m1")]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(COMPONENT),
            "AWS_IOT_THING_NAME": THING,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        process = subprocess.Popen(
            [*command, "--configuration", str(self.folder / "settings.json")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def spooled(self, kind: str) -> list[dict[str, object]]:
        clock = SystemClock()
        reader = spool.open(self.work / "spool", clock=clock, boot=spool.new_boot(clock), max_bytes=1 << 30)
        try:
            assert reader.place == "disk", reader.trouble
            return [
                dict(record.body)
                for stream in reader.streams()
                if stream.kind == kind
                for record in reader.records(stream)
            ]
        finally:
            reader.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_sigterm_closes_the_window_and_ends_the_process_in_time(home: Home) -> None:
    home.see("red-1.png", "green-2.png", "blue-3.png")
    with home.running() as process:
        eventually(lambda: len(home.done()) == 3, seconds=PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert time.monotonic() - told < ENDING_SECONDS
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert "model m1 serves on onnxruntime-portable" in output
    assert [alert["species"] for alert in home.spooled("alert")] == ["red"]
    assert [summary["frames"] for summary in home.spooled("summary")] == [3]
    (log,) = (home.work / "results").glob("*.jsonl")
    labels = [json.loads(line)["label"] for line in log.read_text().splitlines()]
    assert labels == ["blue", "green", "red"], "in order of name"


def test_after_a_kill_the_frames_that_were_not_dealt_with_are(home: Home) -> None:
    home.see("red-1.png")
    with home.running() as process:
        eventually(lambda: home.done() == {"red-1.png"}, seconds=PATIENCE_SECONDS)
        process.kill()
    home.see("blue-2.png")
    with home.running() as process:
        eventually(lambda: home.done() == {"red-1.png", "blue-2.png"}, seconds=PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert [alert["species"] for alert in home.spooled("alert")] == ["red"], "what was spooled is still there"
    assert [summary["frames"] for summary in home.spooled("summary")] == [1]


def test_broken_files_without_end_are_a_few_lines_of_the_log(home: Home) -> None:
    for number in range(50):
        (home.frames / f"{number:02d}.png").write_bytes(b"no image")
    home.see("red-1.png")
    with home.running() as process:
        eventually(lambda: home.done() == {"red-1.png"}, seconds=PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert output.count("is set aside") == BURST
