"""Starts the classifier with the packages that requirements.txt pins, and with nothing else needed on the device.

    python3 launch.py install --work FOLDER          once per version of the component
    python3 launch.py run --work FOLDER [options]    becomes `python -m classifier --work FOLDER [options]`

Packages that the interpreter already has are used when every pin is met exactly; otherwise they go into a virtual
environment under the work folder, as wheels whose hashes are pinned: those of the folder wheels/ beside this file if
there is one, else from the package index. Standard library only: nothing is installed yet when this runs.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON = ((3, 11), (3, 13))
# What comes before this an older Python can import, and 3.6 can parse the whole file: a device that has one says what
# it lacks, and no SyntaxError.
if not (PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]):
    raise SystemExit(
        f"the classifier needs a python3 that is Python 3.{PYTHON[0][1]} to 3.{PYTHON[1][1]}; "
        f"{sys.executable} is {sys.version.split()[0]}"
    )

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
WHEELS = HERE / "wheels"
MACHINES = ("x86_64", "aarch64")


def pins(text: str) -> dict[str, str]:
    """Package names and their pinned versions.

    Raises:
        ValueError: a line is not of the form name==version, or has no hash.
    """
    lines = [line.split("#")[0].strip() for line in text.replace("\\\n", " ").splitlines()]
    found = {}
    for line in filter(None, lines):
        pin = re.fullmatch(r"([\w.-]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        if not pin:
            raise ValueError(f"requirements.txt has {line!r}; every line must be name==version --hash=sha256:...")
        found[pin[1]] = pin[2]
    return found


def unmet(wanted: dict[str, str]) -> list[str]:
    """The pins that this interpreter's own packages do not meet."""
    from importlib import metadata  # Python 3.6 has none

    missing = []
    for name, version in wanted.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "nothing"
        if installed != version:
            missing.append(f"{name}=={version} (has {installed})")
    return missing


def environment_folder(work: Path) -> Path:
    """Where the virtual environment for exactly these requirements lives.

    Another minor version of Python or another processor needs other wheels; a patch of the same one does not.
    """
    wanted = REQUIREMENTS.read_bytes() + repr((*sys.version_info[:2], platform.machine())).encode()
    return work / "venv" / hashlib.sha256(wanted).hexdigest()[:16]


def obstacle() -> str:
    """Why nothing can be installed on this device; empty if it can."""
    if platform.machine() not in MACHINES:
        return f"there are wheels for {' and '.join(MACHINES)}; this is {platform.machine()}"
    if platform.libc_ver()[0] != "glibc":
        return "there are wheels for glibc 2.28 and later only, such as Debian's, Ubuntu's or Amazon Linux 2023's"
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        return "this Python makes no virtual environments: install the package python3-venv"
    return ""


def install(work: Path) -> Path:
    """The Python that has what is needed: this one, or that of a virtual environment, made unless it is there."""
    missing = unmet(pins(REQUIREMENTS.read_text()))
    if not missing:
        return Path(sys.executable)
    folder = environment_folder(work)
    python = folder / "bin" / "python"  # a link to the device's own, which may have moved
    ready = folder / "ready"  # written last: a power cut leaves no half environment that looks whole
    if ready.exists() and python.exists():
        with contextlib.suppress(OSError):  # a disk that is read-only for now
            os.utime(folder)  # for `prune`
        return python
    why = obstacle()
    if why:
        raise SystemExit(f"the packages of requirements.txt cannot be installed: {why}. Missing: {', '.join(missing)}")
    print(f"installing into {folder}: {', '.join(missing)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    fetch(python, downloads=work / "downloads")
    os.sync()
    ready.touch()
    shutil.rmtree(work / "downloads", ignore_errors=True)
    prune(folder)
    return python


def fetch(python: Path, *, downloads: Path) -> None:
    """Install the wheels: never a compiler on the device, never a wheel with another hash.

    What was downloaded whole is kept in `downloads` until everything is installed: on a thin link that takes more
    than one attempt. The device's own /tmp may be too small.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PIP_CACHE_DIR": str(downloads), "TMPDIR": str(downloads)}
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--retries", "10", "--timeout", "60", "--requirement", str(REQUIREMENTS)]
    carried = any(WHEELS.glob("*.whl"))
    if carried:
        command += ["--no-index", "--find-links", str(WHEELS)]
    if subprocess.run(command, env=environment, check=False).returncode:
        raise SystemExit(
            f"the wheels of {WHEELS} do not do for this device, see above: make wheelhouse again, for its Python"
            if carried
            else "the wheels cannot be downloaded, see above: a device without the internet needs `make wheelhouse`"
        )


def prune(environment: Path) -> None:
    """Delete all environments but this one and the one used last before it: a rollback must not need a link to the
    internet. This one stays whatever the clock says, which on many a device begins in 1970; one that was never filled
    is not the one before."""
    others = [path for path in environment.parent.iterdir() if path != environment]
    for folder in sorted(others, key=lambda path: ((path / "ready").exists(), path.stat().st_mtime))[:-1]:
        shutil.rmtree(folder, ignore_errors=True)


def run(work: Path, options: list[str]) -> None:
    """Replace this process by the classifier, so that the nucleus's signals reach it.

    What is missing is installed here too: an operating system's update may bring another Python, and the nucleus runs
    the step `install` once per version of the component.
    """
    python = str(install(work))
    # The unpacked artifact belongs to the nucleus and is read-only.
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-u", "-m", "classifier", "--work", str(work), *options]
    os.execve(python, command, environment)  # noqa: S606 (no shell is wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("install", "run"))
    parser.add_argument("--work", type=Path, required=True, help="the component's work folder")
    arguments, options = parser.parse_known_args()
    if arguments.verb == "install":
        install(arguments.work)
    else:
        run(arguments.work, options)


if __name__ == "__main__":
    main()
