"""A component's folder becomes an asset and a recipe."""

import shutil
from pathlib import Path

import pytest
from aws_cdk import App, Stack

from stacks.constructs.component import Component

FOLDER = Path(__file__).parents[2] / "edge" / "reefloop.Classifier"


def component(folder: Path, out: Path, **configuration: object) -> Component:
    app = App(outdir=str(out), context={"@aws-cdk/core:validateAgainstDefaultRules": False})
    made = Component(Stack(app, "Stack"), "Classifier", folder=folder, configuration=configuration)
    app.synth()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(FOLDER, tmp_path / FOLDER.name, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def test_wheels_that_were_fetched_go_along_and_make_another_version(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDK_VALIDATION", "false")
    without = component(folder, tmp_path / "without")
    (folder / "wheels").mkdir()
    (folder / "wheels" / "reefling-1.2-py3-none-any.whl").write_bytes(b"wheel")
    carried = component(folder, tmp_path / "with")
    assert [path.name for path in (tmp_path / "with").rglob("*.whl")] == ["reefling-1.2-py3-none-any.whl"]
    assert carried.version != without.version


def test_a_setting_that_the_recipe_does_not_have_stops_the_synth(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no settings \['pole_seconds'\]; it has .*'poll_seconds'"):
        component(folder, tmp_path / "out", pole_seconds=5)
