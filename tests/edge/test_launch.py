"""The launcher: pins are met exactly or installed from wheels with pinned hashes, and the classifier takes over."""

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


def test_another_python_is_refused(carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 to 3\.13"):
        carried.install(tmp_path / "work")


def test_another_python_or_other_pins_get_an_environment_of_their_own(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {carried.environment_folder(tmp_path)}
    carried.REQUIREMENTS.write_text("other==1 " + HASH)
    folders.add(carried.environment_folder(tmp_path))
    monkeypatch.setattr(sys, "version", "3.13.0")
    folders.add(carried.environment_folder(tmp_path))
    assert len(folders) == 3


def test_the_environment_before_stays_for_a_rollback(launch: ModuleType, tmp_path: Path) -> None:
    for age, name in enumerate(["newest", "before", "oldest"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    launch.prune(tmp_path, keep=2)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "before"}


def test_running_before_installing_says_what_to_do(
    carried: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=f"install --work {tmp_path}"):
        carried.run(tmp_path, [])


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
