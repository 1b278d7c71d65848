"""The machine stops when nobody and nothing uses it, and never while somebody or something does."""

from pathlib import Path

import pytest

from tests.workstation.commands import Commands
from workstation import idle
from workstation.cli import main

HOUR = 3600.0
NOTHING = "exit 1"  # what pgrep does when it finds none


@pytest.fixture(autouse=True)
def _idle_machine(commands: Commands, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidia-smi", "docker", "shutdown"):
        commands.add(name)
    commands.add("pgrep", NOTHING)
    (tmp_path / "loadavg").write_text("0.00 0.02 0.05 1/300 4711\n")
    monkeypatch.setattr(idle, "LOAD", tmp_path / "loadavg")


def look(*minutes: float) -> None:
    """What systemd does, at these minutes after the start."""
    for minute in minutes:
        idle.watch(60, stop=True, now=60 * minute)


def test_an_idle_machine_stops_after_the_minutes_of_the_settings_and_not_before(commands: Commands) -> None:
    look(2, 3, 61)
    assert commands.calls("shutdown") == []
    look(62)
    assert commands.calls("shutdown") == ["-h now"]


@pytest.mark.parametrize(
    ("name", "body", "shown"),
    [
        ("nvidia-smi", "printf '4711\\n4712\\n'", "GPU processes: 2"),
        ("docker", "echo 0123456789ab run", "containers: 1"),
        ("docker", "echo '0123456789ab '", "containers: 1"),
        ("pgrep", "echo 4711", "sessions: 1"),
    ],
)
def test_what_uses_the_machine_keeps_it_on_and_is_named(
    commands: Commands, capsys: pytest.CaptureFixture[str], name: str, body: str, shown: str
) -> None:
    commands.add(name, body)
    look(2, 90)
    assert capsys.readouterr().out == f"in use: {shown}\n" * 2
    commands.add(name, NOTHING)
    look(149)
    assert commands.calls("shutdown") == []
    look(150)
    assert commands.calls("shutdown") == ["-h now"]


def test_work_on_the_processor_keeps_it_on(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text("0.10 0.70 0.20 1/300 4711\n")
    look(2, 90)
    assert commands.calls("shutdown") == []


def test_a_shell_in_a_container_whose_session_is_gone_does_not_keep_it_on(commands: Commands) -> None:
    commands.add("docker", "echo 0123456789ab shell")
    look(2, 62)
    assert commands.calls("shutdown") == ["-h now"]


@pytest.mark.parametrize("name", ["nvidia-smi", "docker", "pgrep"])
def test_a_check_that_broke_does_not_keep_it_on(commands: Commands, name: str) -> None:
    commands.add(name, "echo it broke; exit 2")
    look(2, 62)
    assert commands.calls("shutdown") == ["-h now"]


def test_a_check_that_never_ends_does_not_keep_it_on(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "ANSWER_SECONDS", 0.1)
    commands.add("nvidia-smi", "exec sleep 60")
    look(2, 62)
    assert commands.calls("shutdown") == ["-h now"]


def test_asking_how_it_stands_changes_nothing(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    look(2)
    before = idle.LAST_USED.read_text()
    commands.add("pgrep", "echo 4711")
    assert main(["idle"]) == 0
    assert capsys.readouterr().out.endswith("in use: sessions: 1\n")
    assert idle.LAST_USED.read_text() == before
