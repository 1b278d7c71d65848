"""The library path of the job container on hosts with older and newer NVIDIA drivers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import driver

ROOT = Path(__file__).resolve().parents[3]
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Thu Jul 11 22:26:11 UTC 2024\nGCC version: gcc 11.4.0\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (dvs-builder)\n"


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    """The driver of an image, as NVIDIA's package lays it out."""
    folder = tmp_path / "compat"
    folder.mkdir()
    (folder / "libcuda.so.610.43.02").touch()
    (folder / "libcuda.so.1").symlink_to("libcuda.so.610.43.02")
    return folder / "libcuda.so.1"


def host(folder: Path, text: str, *gpus: str) -> driver.Host:
    """What a host's kernel module tells of itself and of its GPUs."""
    made = driver.Host(folder / "version", folder / "gpus")
    made.version.write_text(text)
    for number, model in enumerate(gpus):
        about = made.gpus / f"0000:{number:02}:1e.0" / "information"
        about.parent.mkdir(parents=True)
        about.write_text(f"Model: \t\t {model}\nIRQ:   \t\t 10\nGPU UUID: \t GPU-5f\n")
    return made


ABSENT = driver.Host(Path("/nowhere/version"), Path("/nowhere/gpus"))


@pytest.mark.parametrize("version", [CLOSED.format("535.183.01"), OPEN.format("610.9.03")])
def test_an_older_driver_gets_the_images_own_in_front(tmp_path: Path, bundled: Path, version: str) -> None:
    given = {"LD_LIBRARY_PATH": "/opt/cudnn:/usr/local/cuda/lib64"}
    path = driver.library_path(given, bundled=bundled, host=host(tmp_path, version))
    assert path == f"{bundled.parent}:/opt/cudnn:/usr/local/cuda/lib64"


@pytest.mark.parametrize("version", ["610.43.02", "610.100.01", "700.10"])
def test_a_driver_that_is_new_enough_is_left_alone(tmp_path: Path, bundled: Path, version: str) -> None:
    assert driver.library_path({}, bundled=bundled, host=host(tmp_path, OPEN.format(version))) is None


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (["NVIDIA A10G"], True),
        (["Tesla T4", "Tesla T4"], True),
        (["NVIDIA GeForce RTX 4090"], False),
        (["TITAN V"], False),
    ],
)
def test_a_gpu_that_takes_no_newer_driver_keeps_the_hosts(
    tmp_path: Path, bundled: Path, gpus: list[str], expected: bool
) -> None:
    older = host(tmp_path, OPEN.format("580.65.06"), *gpus)
    assert (driver.library_path({}, bundled=bundled, host=older) is not None) is expected


def test_it_is_put_there_once(tmp_path: Path, bundled: Path) -> None:
    older = host(tmp_path, CLOSED.format("535.183.01"))
    first = driver.library_path({}, bundled=bundled, host=older)
    assert first == str(bundled.parent)
    assert driver.library_path({"LD_LIBRARY_PATH": first}, bundled=bundled, host=older) is None


def test_a_host_without_a_gpu_and_an_image_without_a_driver_need_nothing(tmp_path: Path, bundled: Path) -> None:
    assert driver.library_path({}, bundled=bundled, host=ABSENT) is None
    older = host(tmp_path, CLOSED.format("535.183.01"))
    assert driver.library_path({}, bundled=tmp_path / "none", host=older) is None


def test_the_entry_point_starts_again_with_the_path_as_the_same_process(tmp_path: Path) -> None:
    """In a process of its own, whose `python -m jobs` finds an older driver and tells what it was started with."""
    (tmp_path / "jobs").mkdir()
    for name in ("__init__.py", "__main__.py", "errors.py", "paths.py"):
        (tmp_path / "jobs" / name).write_text((ROOT / "jobs" / name).read_text())
    (tmp_path / "jobs" / "driver.py").write_text(
        "import os, sys\n"
        'VARIABLE = "LD_LIBRARY_PATH"\n'
        "def library_path(environment):\n"
        '    print(os.getpid(), environment.get(VARIABLE, "none"), *sys.argv[1:], flush=True)\n'
        '    return None if environment.get(VARIABLE) == "/compat" else "/compat"\n'
    )
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "predict"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    first, second = done.stdout.splitlines()
    assert first.split()[1:] == ["none", "predict"]
    assert second.split()[1:] == ["/compat", "predict"]
    assert first.split()[0] == second.split()[0]
    assert done.returncode == 2
