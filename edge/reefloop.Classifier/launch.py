"""Starts the classifier with the packages that requirements.txt pins, and with nothing else needed on the device.

    python3 launch.py install --work FOLDER          once per version of the component
    python3 launch.py run --work FOLDER [options]    becomes `python -m classifier [options]`

Packages that the interpreter already has are used when every pin is met exactly; otherwise they go, as wheels, into a
virtual environment under the work folder. Standard library only: nothing is installed yet when this runs.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
PYTHON = ((3, 11), (3, 13))


def pins(text: str) -> dict[str, str]:
    """Package names and their pinned versions.

    Raises:
        ValueError: a line is not of the form name==version.
    """
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    found = {}
    for line in filter(None, lines):
        name, equals, version = line.partition("==")
        if not equals:
            raise ValueError(f"requirements.txt has {line!r}; every line must be name==version")
        found[name.strip()] = version.strip()
    return found


def unmet(wanted: dict[str, str]) -> list[str]:
    """The pins that this interpreter's own packages do not meet."""
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
    """Where the virtual environment for exactly these requirements lives."""
    return work / "venv" / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]


def install(work: Path) -> None:
    """Make the virtual environment, unless this interpreter or an earlier run has what is needed."""
    if not (PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]):
        raise SystemExit(f"the classifier needs Python 3.{PYTHON[0][1]} to 3.{PYTHON[1][1]}; this is {sys.version}")
    missing = unmet(pins(REQUIREMENTS.read_text()))
    folder = environment_folder(work)
    ready = folder / "ready"  # written last: a power cut leaves no half environment that looks whole
    if not missing or ready.exists():
        return
    print(f"installing into {folder}: {', '.join(missing)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # Never a compiler on the device: wheels only.
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--only-binary=:all:"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    ready.touch()
    prune(folder.parent, keep=2)


def prune(environments: Path, *, keep: int) -> None:
    """Delete all but the newest environments. The one before stays: a rollback must not need a link to the internet."""
    newest_first = sorted(environments.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in newest_first[keep:]:
        shutil.rmtree(folder, ignore_errors=True)


def run(work: Path, options: list[str]) -> None:
    """Replace this process by the classifier, so that the nucleus's signals reach it."""
    own = not unmet(pins(REQUIREMENTS.read_text()))
    python = sys.executable if own else str(environment_folder(work) / "bin" / "python")
    if not Path(python).exists():
        raise SystemExit(f"{python} is missing: run `{sys.argv[0]} install --work {work}` first")
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
