"""The pins of the device: one for all, the same that the tests run with, and nothing left out."""

import ast
import importlib.util
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "edge" / "reefloop.Classifier"


def pinned(path: Path) -> dict[str, str]:
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s\\]+)", path.read_text(), re.MULTILINE)
    }


@pytest.fixture(scope="module")
def wheels() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wheels", ROOT / "edge" / "wheels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["wheels"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


LOCKED = pinned(COMPONENT / "requirements.txt")


def test_the_device_runs_the_versions_that_the_tests_run() -> None:
    laptop = pinned(ROOT / "constraints.txt")
    assert {name: laptop.get(name) for name in LOCKED} == LOCKED
    assert {name: metadata.version(name) for name in LOCKED} == LOCKED


def test_what_is_imported_directly_is_pinned_so_and_images_are_decoded_as_in_training() -> None:
    direct, jobs = pinned(ROOT / "edge" / "requirements.in"), pinned(ROOT / "jobs" / "requirements.txt")
    assert direct.items() <= LOCKED.items()
    assert {name: direct[name] for name in ("numpy", "onnxruntime", "pillow")}.items() <= jobs.items()


def test_every_package_that_another_one_needs_is_pinned_too() -> None:
    for name in LOCKED:
        needs = [Requirement(line) for line in metadata.requires(name) or ()]
        wanted = [each for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
        assert {canonicalize_name(each.name) for each in wanted} <= set(LOCKED)
        assert all(each.specifier.contains(LOCKED[canonicalize_name(each.name)]) for each in wanted)


def test_every_module_that_the_component_imports_is_its_own_pinned_or_standard() -> None:
    distributions = metadata.packages_distributions()
    for path in COMPONENT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in {name.split(".")[0] for name in names} - {"classifier", "dlr"} - sys.stdlib_module_names:
                assert {canonicalize_name(each) for each in distributions[name]} & set(LOCKED), f"{path}: {name}"


def test_a_lock_names_hashes_and_no_address(wheels: ModuleType) -> None:
    text = (COMPONENT / "requirements.txt").read_text()
    assert text.startswith(wheels.HEAD)
    assert "://" not in text
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) > len(LOCKED)


def test_wheels_of_several_devices_become_one_pin_with_all_their_hashes(wheels: ModuleType) -> None:
    found = [
        wheels.Wheel("NumPy", "2", "numpy-x86.whl", "b" * 64),
        wheels.Wheel("numpy", "2", "numpy-arm.whl", "a" * 64),
        wheels.Wheel("a_b", "1", "a_b.whl", "c" * 64),
    ]
    body = wheels.locked(found).removeprefix(wheels.HEAD)
    assert body == (
        f"a-b==1 \\\n    --hash=sha256:{'c' * 64}\n"
        f"numpy==2 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    )


def test_two_versions_for_two_devices_are_refused(wheels: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"one pin has to do for every device.*\['1', '2'\]"):
        wheels.locked([wheels.Wheel("a", version, "a.whl", "0" * 64) for version in ("1", "2")])


def test_what_only_another_python_or_processor_needs_is_found_missing(wheels: ModuleType) -> None:
    needs = (
        'old>=2; python_version < "3.12"',
        'arm; platform_machine == "aarch64"',
        'windows; sys_platform == "win32"',
        'test; extra == "tests"',
    )
    found = [wheels.Wheel("a", "1", "a.whl", "0" * 64, needs), wheels.Wheel("Old", "1", "o.whl", "0" * 64)]
    missing = {
        device: [text.split(";")[0] for text in wheels.unmet(found, python=device[0], architecture=device[1])]
        for device in (("3.11", "x86_64"), ("3.13", "x86_64"), ("3.13", "aarch64"))
    }
    assert missing == {("3.11", "x86_64"): ["old>=2"], ("3.13", "x86_64"): [], ("3.13", "aarch64"): ["arm"]}


def test_a_check_fails_where_pip_leaves_out_what_the_device_needs(
    wheels: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pip(*arguments: str) -> None:
        """Runs under a Python that needs no `new`."""
        item = {
            "metadata": {"name": "a", "version": "1", "requires_dist": ['new; python_version >= "3.13"']},
            "download_info": {"url": "a.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}},
        }
        Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps({"install": [item]}))

    monkeypatch.setattr(wheels, "pip", pip)
    wheels.check([("3.12", "x86_64")])
    with pytest.raises(SystemExit, match=r"Python 3\.13 x86_64 needs new.* \(for a; there is none\)"):
        wheels.check([("3.13", "x86_64")])


def test_wheels_that_are_fetched_take_the_place_of_earlier_ones_once_all_have_come(
    wheels: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "HERE", tmp_path)
    monkeypatch.setattr(wheels, "WHEELS", tmp_path / "wheels")
    come = True

    def pip(*arguments: str) -> None:
        if not come:
            raise SystemExit("pip found no such wheels")
        name = "new" + arguments[arguments.index("--python-version") + 1]
        (Path(arguments[arguments.index("--dest") + 1]) / f"{name}.whl").touch()

    monkeypatch.setattr(wheels, "pip", pip)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "old.whl").touch()
    wheels.download([("3.11", "x86_64"), ("3.12", "x86_64")])
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == {"new3.11.whl", "new3.12.whl"}
    come = False
    with pytest.raises(SystemExit):
        wheels.download([("3.13", "x86_64")])
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == {"new3.11.whl", "new3.12.whl"}
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"], "no draft stays"


def test_pip_is_asked_for_another_device_and_for_wheels_alone(wheels: ModuleType) -> None:
    options = list(wheels.target("3.13", "aarch64"))
    assert "--only-binary=:all:" in options
    assert "manylinux_2_28_aarch64" in options
    assert options[options.index("--python-version") + 1] == "3.13"


def test_the_component_has_the_syntax_of_the_oldest_python_that_it_runs_on() -> None:
    for path in COMPONENT.rglob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 11))
