"""A replay says what the component would have sent, without a nucleus and in simulated time."""

import json
from pathlib import Path
from typing import Any

import pytest
from classifier.__main__ import main
from classifier.configuration import Configuration
from classifier.replay import Failed, report
from classifier.simulation import Simulation

from tests.edge import model_packages
from tests.edge.model_packages import SHUFFLED, image
from tests.edge.sources.cameras import write_video

SECONDS, RATE = 200, 2
RED, GREY = range(20, 30), range(100, 110)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Green water, a red animal at 10 s, something grey at 50 s, and a file that is no image."""
    folder = tmp_path_factory.mktemp("footage") / "frames"
    folder.mkdir()
    for number in range(SECONDS * RATE):
        colour: Any = "red" if number in RED else "grey" if number in GREY else (0, 255 - number % 7, 0)
        (folder / f"{number:04d}.jpg").write_bytes(image(colour, size=64, form="JPEG"))
    (folder / "0033.jpg").write_bytes(b"no image")
    (folder / ".hidden").write_bytes(b"no frame")
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_packages.write(tmp_path_factory.mktemp("package") / "m1", version="m1")


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    path = tmp_path / "configuration.json"
    path.write_text(json.dumps({"watch_list": ["red"], "alert_frames": 1, "audit_frames_per_hour": 1}))
    return path


def test_a_replay_tells_what_would_have_been_sent(footage: Path, package: Path, asked: Path) -> None:
    before = sorted(footage.iterdir())
    found = report(footage, package, configuration=asked)
    assert (found.model, found.frames, found.unreadable) == ("m1", SECONDS * RATE, 1)
    assert found.seconds == pytest.approx(SECONDS, abs=1)
    assert found.visits["red"] >= 1
    assert (found.alerts[0].species, found.alerts[0].seconds) == ("red", pytest.approx(10, abs=1.1))
    assert {sent.reason for sent in found.sent} == {"uncertain", "audit"}
    uncertain = next(sent for sent in found.sent if sent.reason == "uncertain")
    assert (uncertain.frame, uncertain.seconds) == ("0100.jpg", pytest.approx(50, abs=1.1))
    assert found.waiting == 0
    assert all(found.bytes[kind] > 0 for kind in ("alert", "health", "summary", "frame"))
    everything = sum(path.stat().st_size for path in footage.glob("*.jpg"))
    assert everything < found.everything_bytes < everything + SECONDS * RATE * 200
    assert sorted(footage.iterdir()) == before, "a replay only reads"


def test_frames_that_were_recorded_faster_take_less_time(footage: Path, package: Path) -> None:
    assert report(footage, package, frames_per_second=10).seconds == pytest.approx(SECONDS * RATE / 10, abs=1)


def test_a_video_is_replayed_like_a_folder(tmp_path: Path, package: Path) -> None:
    video = write_video(tmp_path / "reef.avi", [20, 60, 100, 140, 180, 220], fps=2)
    found = report(video, package)
    assert (found.frames, found.unreadable) == (6, 0)
    assert found.seconds == pytest.approx(2.5, abs=0.6)
    assert {sent.reason for sent in found.sent} == {"uncertain", "audit"}, "grey is neither red, green nor blue"
    assert found.sent[0].frame.startswith("reef.avi-")


def test_what_the_budget_keeps_back_is_told(footage: Path, package: Path, tmp_path: Path) -> None:
    path = tmp_path / "thrifty.json"
    path.write_text(json.dumps({"bytes_per_hour": 10_000, "summary_seconds": 2, "health_seconds": 2}))
    found = report(footage, package, configuration=path)
    assert found.waiting > 0
    assert sum(found.bytes.values()) <= 10_000


def test_the_report_is_a_table_for_people_and_json_for_programs(
    footage: Path, package: Path, asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--replay", str(footage), "--report", "--model", str(package), "--configuration", str(asked)]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "frames      400 in 200 s, 1 unreadable" in table
    assert "10.0 s  red 1.00" in table
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 400
    assert told["alerts"][0]["species"] == "red"


@pytest.mark.parametrize(
    ("folder", "model", "complaint"),
    [
        ("nowhere", "m1", "there is no "),
        ("empty", "m1", "there are no frames in "),
        ("junk", "m1", "there are no frames in "),
        ("frames", "frames", "is no model package: model.onnx is missing in it; unpack an artifact of"),
        ("frames", "nowhere", "is no model package"),
        ("frames", "shuffled", "the model does not pass its self-test: "),
    ],
)
def test_what_cannot_be_replayed_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, model: str, complaint: str
) -> None:
    for name in ("empty", "junk", "frames"):
        (tmp_path / name).mkdir()
    (tmp_path / "junk" / "a.jpg").mkdir()
    (tmp_path / "frames" / "a.jpg").write_bytes(image("red"))
    model_packages.write(tmp_path / "m1")
    model_packages.write(tmp_path / "shuffled", portable=SHUFFLED)
    assert main(["--replay", str(tmp_path / folder), "--report", "--model", str(tmp_path / model)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"watch_lists": []}', "there is no setting 'watch_lists': did you mean watch_list?"),
        ('{"bytes_per_day": 1}', "bytes_per_day is 1; it must be a whole number from"),
        ("[]", "holds no JSON object of settings"),
        ("{", "cannot be read"),
    ],
)
def test_a_configuration_that_is_not_valid_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(Failed, match="the configuration is not valid") as raised:
        report(tmp_path, tmp_path, configuration=tmp_path / "c.json")
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ([], "one of the arguments --work --replay is required"),
        (["--replay", "a"], "--model is missing: give the folder of a model package"),
        (["--work", "a", "--json"], "--json belongs to --replay"),
        (["--work", "a", "--frames-per-second", "2"], "--frames-per-second belongs to --replay"),
        (["--work", "a", "--replay", "b"], "not allowed with argument"),
        (["--work", "a"], "AWS_IOT_THING_NAME is not set"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(
    command: list[str], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_IOT_THING_NAME", raising=False)
    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert complaint in capsys.readouterr().err


def test_simulated_time_passes_second_by_second(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path, Configuration(health_seconds=60), model=tmp_path / "none")
    simulation.begin()
    simulation.wait(3600.5)
    assert simulation.clock.elapsed() == pytest.approx(3600.5)
    simulation.finish(seconds=10)
    assert len(simulation.cloud.of("health")) in (60, 61)
    assert simulation.waiting == 0
