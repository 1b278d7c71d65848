"""The wheels of the classifier, for every Python and processor that it runs on.

    python edge/wheels.py lock         writes requirements.txt anew: every package, every wheel's hash
    python edge/wheels.py check        does each combination find its wheels, by those hashes?
    python edge/wheels.py download     fetches them into the component, for devices without the internet

Each asks the package index that pip is set up for; requirements.txt says nothing about where a wheel comes from.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE: Final = Path(__file__).resolve().parent
DIRECT: Final = HERE / "requirements.in"
LOCKED: Final = HERE / "reefloop.Classifier" / "requirements.txt"
WHEELS: Final = HERE / "reefloop.Classifier" / "wheels"
CONSTRAINTS: Final = HERE.parent / "constraints.txt"

PYTHONS: Final = ("3.11", "3.12", "3.13")
ARCHITECTURES: Final = ("x86_64", "aarch64")
GLIBC: Final = range(28, 16, -1)
"""Minor versions of the C library whose wheels are taken, newest first: https://peps.python.org/pep-0600/"""

HEAD: Final = """\
# What the device installs: every package, and the hash of every wheel for Python 3.11 to 3.13 on x86_64 and aarch64.
# Written by `python edge/wheels.py lock` from edge/requirements.in and constraints.txt.
"""


@dataclass(frozen=True)
class Wheel:
    """What pip would install: a package's name and version, its file and the SHA-256 of that."""

    name: str
    version: str
    file: str
    sha256: str
    needs: tuple[str, ...] = ()
    """What it requires, as its metadata says: name, versions, environment marker."""


def resolve(arguments: Sequence[str], *, python: str, architecture: str) -> list[Wheel]:
    """What pip would install on such a device.

    Raises:
        SystemExit: nothing meets the requirements, as pip says, or something that such a device needs is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip("install", "--dry-run", "--ignore-installed", "--report", str(report), "--target", folder,
            *target(python, architecture), *arguments)  # fmt: skip
        found: Mapping[str, Any] = json.loads(report.read_text())
    wheels = [
        Wheel(
            name=each["metadata"]["name"],
            version=each["metadata"]["version"],
            file=each["download_info"]["url"].rpartition("/")[2],
            sha256=each["download_info"]["archive_info"]["hashes"]["sha256"],
            needs=tuple(each["metadata"].get("requires_dist", ())),
        )
        for each in found["install"]
    ]
    if missing := unmet(wheels, python=python, architecture=architecture):
        raise SystemExit(f"Python {python} {architecture} needs {'; '.join(missing)}: name it in {DIRECT}")
    return wheels


def unmet(wheels: Sequence[Wheel], *, python: str, architecture: str) -> list[str]:
    """What some of the wheels need on such a device and none of them is.

    pip takes environment markers from the Python that runs it, whatever --python-version and --platform say:
    https://github.com/pypa/pip/issues/11664
    """
    device = {
        "extra": "",
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    versions = {canonicalize_name(wheel.name): wheel.version for wheel in wheels}
    missing = []
    for wheel in wheels:
        for need in map(Requirement, wheel.needs):
            version = versions.get(canonicalize_name(need.name))
            wanted = need.marker is None or need.marker.evaluate(device)
            if wanted and (version is None or not need.specifier.contains(version, prereleases=True)):
                missing.append(f"{need} (for {wheel.name}; there is {version or 'none'})")
    return missing


def target(python: str, architecture: str) -> Iterator[str]:
    """pip's options for another device than this one; wheels only, since nothing is compiled there."""
    yield from ("--only-binary=:all:", "--implementation", "cp", "--python-version", python)
    for minor in GLIBC:
        yield from ("--platform", f"manylinux_2_{minor}_{architecture}")
    yield from ("--platform", f"manylinux2014_{architecture}")


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "-qq", "--disable-pip-version-check"]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"pip found no such wheels: {' '.join(command)}")


def locked(wheels: Iterable[Wheel]) -> str:
    """requirements.txt: a package once, whatever device its wheels are for.

    Raises:
        SystemExit: two devices would get different versions.
    """
    versions: dict[str, set[str]] = defaultdict(set)
    hashes: dict[str, set[str]] = defaultdict(set)
    for wheel in wheels:
        name = wheel.name.lower().replace("_", "-")
        versions[name].add(wheel.version)
        hashes[name].add(wheel.sha256)
    several = {name: sorted(found) for name, found in versions.items() if len(found) > 1}
    if several:
        raise SystemExit(f"one pin has to do for every device, but pip found {several}: pin them in {DIRECT}")
    lines = [
        " \\\n    ".join(
            [f"{name}=={next(iter(versions[name]))}", *(f"--hash=sha256:{h}" for h in sorted(hashes[name]))]
        )
        for name in sorted(versions)
    ]
    return HEAD + "\n".join(lines) + "\n"


def lock(combinations: Sequence[tuple[str, str]]) -> None:
    given = ("--requirement", str(DIRECT), "--constraint", str(CONSTRAINTS))
    wheels = [wheel for python, arch in combinations for wheel in resolve(given, python=python, architecture=arch)]
    LOCKED.write_text(locked(wheels))
    print(f"{LOCKED}: {len({wheel.name for wheel in wheels})} packages, {len({w.sha256 for w in wheels})} wheels")


def check(combinations: Sequence[tuple[str, str]]) -> None:
    for python, architecture in combinations:
        given = ("--require-hashes", "--requirement", str(LOCKED))  # with the dependencies: none may be left out
        wheels = resolve(given, python=python, architecture=architecture)
        print(f"Python {python} {architecture}: {len(wheels)} wheels, and they need no others")


def download(combinations: Sequence[tuple[str, str]]) -> None:
    """All that is in the folder goes to every device: what an earlier call fetched is replaced."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".wheels-") as folder:
        draft = Path(folder) / WHEELS.name
        draft.mkdir()
        for python, architecture in combinations:
            pip("download", "--require-hashes", "--no-deps", "--dest", str(draft), *target(python, architecture),
                "--requirement", str(LOCKED))  # fmt: skip
        shutil.rmtree(WHEELS, ignore_errors=True)
        draft.rename(WHEELS)
    files = [path for path in WHEELS.iterdir() if path.suffix == ".whl"]
    print(f"{WHEELS}: {len(files)} wheels, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = {"lock": lock, "check": check, "download": download}
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("--python", nargs="+", choices=PYTHONS, default=PYTHONS)
    parser.add_argument("--architecture", nargs="+", choices=ARCHITECTURES, default=ARCHITECTURES)
    arguments = parser.parse_args()
    verbs[arguments.verb](list(product(arguments.python, arguments.architecture)))


if __name__ == "__main__":
    main()
