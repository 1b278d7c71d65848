"""The component can be built by the Greengrass Development Kit too."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.edge.recipe_rules import violations

EDGE = Path(__file__).parents[2] / "edge"
NAME = "reefloop.Classifier"


def test_gdk_gets_an_archive_and_a_recipe_that_names_it(tmp_path: Path) -> None:
    component = tmp_path / NAME
    # Other processes write their bytecode there meanwhile.
    shutil.copytree(EDGE / NAME, component, ignore=shutil.ignore_patterns("__pycache__"))
    (component / "wheels").mkdir(exist_ok=True)
    (component / "wheels" / "reefling-1.2-py3-none-any.whl").write_bytes(b"a wheel that the device needs")
    shutil.copy(EDGE / "gdk_build.py", tmp_path)
    version = component / "greengrass-build" / "artifacts" / NAME / "NEXT_PATCH"  # gdk makes the folders
    version.mkdir(parents=True)
    (component / "greengrass-build" / "recipes").mkdir()
    command = json.loads((component / "gdk-config.json").read_text())["component"][NAME]["build"][
        "custom_build_command"
    ]
    subprocess.run([sys.executable, *command[1:]], cwd=component, check=True, timeout=60)

    text = (component / "greengrass-build" / "recipes" / "recipe.json").read_text()
    (artifact,) = json.loads(text)["Manifests"][0]["Artifacts"]
    assert artifact["Uri"].endswith(f"COMPONENT_VERSION/{NAME}.zip")
    assert f"/{NAME}/launch.py" in text
    assert violations(text) == []
    with zipfile.ZipFile(version / f"{NAME}.zip") as archive:
        names = archive.namelist()
    assert {"launch.py", "requirements.txt", "classifier/__main__.py", "wheels/reefling-1.2-py3-none-any.whl"} <= set(
        names
    )
    assert "recipe.json" not in names
