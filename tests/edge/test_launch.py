"""The launcher: pins are met exactly or installed, and the classifier takes its place."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.edge.conftest import THING, Device

COMPONENT = Path(__file__).parents[2] / "edge" / "reefloop.Classifier"


@pytest.fixture(scope="module")
def launch() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch", COMPONENT / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COMPONENT / "launch.py"), *arguments],
        env={"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_packages_that_meet_every_pin_are_used_as_they_are(tmp_path: Path) -> None:
    assert run("install", "--work", str(tmp_path)).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_pin_that_is_not_met_to_the_letter_is_unmet(launch: ModuleType) -> None:
    wanted = launch.pins((COMPONENT / "requirements.txt").read_text())
    assert launch.unmet(wanted) == []
    assert launch.unmet({**wanted, "numpy": "1.0.0"}) != []
    assert launch.unmet({"no-such-package": "1"}) == ["no-such-package==1 (has nothing)"]


def test_a_requirement_without_an_exact_version_is_an_error(launch: ModuleType) -> None:
    with pytest.raises(ValueError, match="name==version"):
        launch.pins("numpy>=2")


def test_the_environment_before_stays_for_a_rollback(launch: ModuleType, tmp_path: Path) -> None:
    for age, name in enumerate(["newest", "before", "oldest"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    launch.prune(tmp_path, keep=2)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "before"}


def test_the_launcher_becomes_the_classifier(device: Device) -> None:
    environment = {"AWS_IOT_THING_NAME": THING}
    done = run("run", "--work", str(device.work), "--bucket", "data", "--once", **environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bucket", ""], "--bucket is empty"),
        (["--bucket", "data", "--poll-seconds", "soon"], "'soon' is not a number"),
        (["--bucket", "data", "--review-frames-per-hour", "-1"], "at least 0"),
        (["--bucket", "data", "--summary-seconds", "nan"], "at least"),
    ],
)
def test_a_wrong_option_ends_with_what_is_wrong(device: Device, arguments: list[str], complaint: str) -> None:
    done = run("run", "--work", str(device.work), *arguments, AWS_IOT_THING_NAME=THING)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_without_a_thing_name_it_says_so(device: Device) -> None:
    done = run("run", "--work", str(device.work), "--bucket", "data")
    assert done.returncode == 2
    assert "AWS_IOT_THING_NAME is not set" in done.stderr


def test_sigterm_ends_it_cleanly(device: Device) -> None:
    command = [sys.executable, str(COMPONENT / "launch.py"), "run", "--work", str(device.work), "--bucket", "data"]
    environment = {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_IOT_THING_NAME": THING}
    process = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 20
        while not (device.work / "results").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
