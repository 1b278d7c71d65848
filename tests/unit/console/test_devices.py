"""The page of devices and the command that prints it."""

import json
import re
from pathlib import Path

import pytest

from console.cli import main
from console.commands import devices
from reefloop.compilation import neo
from reefloop.compilation.targets import TARGETS
from settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "devices.md"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == devices.page(), "docs/devices.md is not up to date: run `make devices`"


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    assert capsys.readouterr().out == devices.page()


def test_every_device_and_every_framework_has_its_verdict_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", devices.page(), re.MULTILINE)
    of = dict(rows)
    assert set(neo.DEVICES) <= set(of)
    taken = [framework for framework in neo.FRAMEWORKS.values() if not framework.refusal]
    for device in neo.DEVICES.values():
        _, *verdicts, source = of[device.name].split(" | ")
        assert source.endswith(f"({device.source})")
        assert len(verdicts) == (1 if device.refusal else len(taken))


@pytest.mark.parametrize("framework", neo.FRAMEWORKS)
def test_one_framework_shows_every_target_with_reason_and_source(
    framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "--framework", framework.lower()]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows if row[0] != "none"] == list(TARGETS)
    assert {row[1] for row in rows} >= set(neo.DEVICES)
    assert all(len(row) == 5 and row[3] and row[4].startswith("https://") for row in rows)


def test_a_terminal_gets_a_table_that_fits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["devices", "--framework", "onnx"]) == 0
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    table, sources = said.split("\n\n")
    assert [line.split()[0] for line in table.splitlines() if line[0].isalpha()][1:15] == list(TARGETS)[:14]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    assert {line.split(": ", 1)[1] for line in sources.splitlines()} <= set(neo.pages.TITLES)


def test_an_unknown_framework_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--framework", "caffe"]) == 2
    assert "'caffe' is not one of TENSORFLOW, KERAS" in capsys.readouterr().err


def test_the_pages_example_of_an_own_target_is_taken() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", devices.page(), re.DOTALL)
    branches = json.loads(f"{{{example}}}")
    settings = Settings.load(context={"stage": "sandbox", "stages": {"sandbox": branches}})
    assert [target.name for target in settings.compilation.chosen] == ["linux-x86_64", "orin"]
