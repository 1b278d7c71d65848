"""The launcher: pins are met exactly or installed from wheels with pinned hashes, and the classifier takes over."""

import ast
import base64
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

COMPONENT = Path(__file__).parents[2] / "edge" / "reefloop.Classifier"
HASH = "--hash=sha256:" + 64 * "0"


@pytest.fixture
def launch() -> ModuleType:
    """A copy of its own: tests change what it stands beside."""
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


def wheel(folder: Path, name: str, version: str, *, code: str = "") -> str:
    """A wheel of one module, in `folder`; returns its line for requirements.txt."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
        for path, text in files.items()
    )
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(inner, text)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def carried(launch: ModuleType, tmp_path: Path) -> ModuleType:
    """A component that needs one small package and carries its wheel."""
    launch.HERE, launch.WHEELS = tmp_path, tmp_path / "wheels"
    launch.REQUIREMENTS = tmp_path / "requirements.txt"
    launch.REQUIREMENTS.write_text("# one\n" + wheel(launch.WHEELS, "reefling", "1.2", code="print('I swim')"))
    return launch


def test_packages_that_meet_every_pin_are_used_as_they_are(tmp_path: Path) -> None:
    assert run("install", "--work", str(tmp_path)).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_pin_that_is_not_met_to_the_letter_is_unmet(launch: ModuleType) -> None:
    wanted = launch.pins((COMPONENT / "requirements.txt").read_text())
    assert launch.unmet(wanted) == []
    assert launch.unmet({**wanted, "numpy": "1.0.0"}) != []
    assert launch.unmet({"no-such-package": "1"}) == ["no-such-package==1 (has nothing)"]


@pytest.mark.parametrize("line", ["numpy>=2 " + HASH, "numpy==2.4.6", "numpy " + HASH, "numpy==1 --hash=md5:0", "-r a"])
def test_a_requirement_without_an_exact_version_and_a_hash_is_an_error(launch: ModuleType, line: str) -> None:
    with pytest.raises(ValueError, match="name==version --hash"):
        launch.pins(line)


def test_the_wheels_that_the_component_carries_are_installed_without_any_network_over_what_a_power_cut_left(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1/nothing")
    work = tmp_path / "work"
    folder = carried.environment_folder(work)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half an environment")
    carried.install(work)
    done = subprocess.run(
        [folder / "bin" / "python", "-c", "import reefling"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "I swim\n"
    assert not (work / "downloads").exists()
    made = (folder / "ready").stat().st_mtime_ns
    carried.install(work)
    assert (folder / "ready").stat().st_mtime_ns == made, "it is made once"


def test_a_wheel_with_another_hash_is_refused(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_DRY_RUN", "1")  # for the day when it is not refused
    carried.fetch(Path(sys.executable), downloads=tmp_path / "downloads")
    wheel(carried.WHEELS, "reefling", "1.2", code="print('I bite')")
    with pytest.raises(SystemExit, match="make wheelhouse again"):
        carried.fetch(Path(sys.executable), downloads=tmp_path / "downloads")
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err


def test_an_environment_that_could_not_be_filled_is_not_ready(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, "pip" in command))
    with pytest.raises(SystemExit):
        carried.install(tmp_path)
    assert not (carried.environment_folder(tmp_path) / "ready").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("platform.machine", lambda: "armv7l"), "x86_64 and aarch64; this is armv7l"),
        (("platform.libc_ver", lambda: ("", "")), "glibc 2.28 and later only"),
        (("importlib.util.find_spec", lambda name: None if name == "ensurepip" else name), "python3-venv"),
    ],
    ids=["another processor", "musl", "Debian without python3-venv"],
)
def test_a_device_on_which_nothing_can_be_installed_says_why_before_anything_is_made(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, object], complaint: str
) -> None:
    monkeypatch.setattr(*change)
    with pytest.raises(SystemExit, match=complaint) as end:
        carried.install(tmp_path / "work")
    assert "reefling==1.2 (has nothing)" in str(end.value)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("version", [(3, 6, 9), (3, 8, 10), (3, 10, 4), (3, 14, 0)])
def test_another_python_is_refused_by_its_number_before_anything_that_it_may_not_have(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    source = (COMPONENT / "launch.py").read_text()
    # What the check needs: later imports and annotations are not reached.
    before, _, after = source.partition("if not (PYTHON[0]")
    ast.parse(source, feature_version=(3, 6))
    assert "metadata" not in before
    assert "def " not in before
    assert after
    with pytest.raises(SystemExit, match=r"needs a python3 that is Python 3\.11 to 3\.13; .*python"):
        exec(compile(source, "launch.py", "exec"), {"__name__": "launch", "__file__": "launch.py"})


def test_another_minor_version_another_processor_or_other_pins_get_an_environment_of_their_own(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {carried.environment_folder(tmp_path)}
    carried.REQUIREMENTS.write_text("other==1 " + HASH)
    folders.add(carried.environment_folder(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    folders.add(carried.environment_folder(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    folders.add(carried.environment_folder(tmp_path))
    assert len(folders) == 4


def test_a_security_update_of_the_same_python_needs_no_other_environment(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11, 2))
    monkeypatch.setattr(sys, "version", "3.11.2 (main, Mar 13 2023, 12:18:29) [GCC 12.2.0]")
    before = carried.environment_folder(tmp_path)
    monkeypatch.setattr(sys, "version_info", (3, 11, 3))
    monkeypatch.setattr(sys, "version", "3.11.3 (main, Nov 11 2026, 08:00:00) [GCC 12.2.1]")
    assert carried.environment_folder(tmp_path) == before


@pytest.fixture
def quick(carried: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An installation that makes no more than the files that are looked for."""

    def make(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", make)
    return carried


def put_in_force(launch: ModuleType, work: Path, name: str, *, at: float) -> Path:
    """Install the environment of a version of the component, at a time of the device's clock."""
    launch.REQUIREMENTS.write_text(f"{name}==1 {HASH}")
    python = launch.install(work)
    assert python.exists()
    folder: Path = launch.environment_folder(work)
    os.utime(folder, (at, at))
    return folder


def test_the_environment_used_last_stays_for_a_rollback(quick: ModuleType, tmp_path: Path) -> None:
    folders = [put_in_force(quick, tmp_path, name, at=at) for at, name in enumerate(("one", "two", "three"))]
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_the_environment_that_a_rollback_went_back_to_stays_when_the_next_version_comes(
    quick: ModuleType, tmp_path: Path
) -> None:
    first, second = (put_in_force(quick, tmp_path, name, at=at) for at, name in enumerate(("one", "two")))
    quick.REQUIREMENTS.write_text(f"one==1 {HASH}")
    quick.install(tmp_path)
    third = put_in_force(quick, tmp_path, "three", at=4_000_000_000.0)
    assert [folder.exists() for folder in (first, second, third)] == [True, False, True]


def test_an_environment_that_could_not_be_filled_takes_no_place_of_one_that_was_used(
    quick: ModuleType, tmp_path: Path
) -> None:
    first = put_in_force(quick, tmp_path, "one", at=1.0)
    half = put_in_force(quick, tmp_path, "two", at=2.0)
    (half / "ready").unlink()
    put_in_force(quick, tmp_path, "three", at=3.0)
    assert [folder.exists() for folder in (first, half)] == [True, False]


def test_a_new_environment_stays_though_the_clock_begins_in_1970(quick: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        folder = put_in_force(quick, tmp_path, name, at=4_000_000_000.0)
        assert folder.exists()


def test_what_is_missing_when_the_component_starts_is_installed_then(
    quick: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became = []
    monkeypatch.setattr(os, "execve", lambda *given: became.append(given[0]))
    quick.run(tmp_path, [])
    python = quick.environment_folder(tmp_path) / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/a-python-that-went-away")
    quick.run(tmp_path, [])
    assert became == [str(python)] * 2
    assert python.exists()


def test_the_launcher_becomes_the_classifier_of_this_version(
    launch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became = []
    monkeypatch.setattr(os, "execve", lambda *given: became.append(given))
    launch.run(tmp_path, ["--help"])
    ((program, command, environment),) = became
    assert program == sys.executable
    assert command == [sys.executable, "-u", "-m", "classifier", "--work", str(tmp_path), "--help"]
    assert environment["PYTHONPATH"] == str(COMPONENT)
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_classifier_itself_answers() -> None:
    done = run("run", "--work", "/tmp/nothing", "--help")
    assert done.returncode == 0, done.stderr
    assert "--work" in done.stdout
