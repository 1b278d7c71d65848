"""The audit tells packages that bring the NVIDIA driver from those that bring CUDA: the real ones, by their files."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobs.audit import drivers
from jobs.audit.image import Entry, Image

RECORDED = Path(__file__).parent / "driver_packages"
# They hold documentation alone and pull in others: only the list of installed packages shows that they are there.
WITHOUT_FILES = {"libgl1-nvidia-glvnd-glx", "nvidia-driver", "nvidia-driver-libs"}


class Package(NamedTuple):
    name: str
    version: str
    files: list[str]


def recorded(group: str) -> Iterator[Package]:
    """Packages of a file: "# name version", then a path a line."""
    with gzip.open(RECORDED / f"{group}.txt.gz", "rt", encoding="utf-8") as file:
        for block in file.read().split("# ")[1:]:
            head, *files = block.splitlines()
            yield Package(*head.split(), files)  # type: ignore[arg-type]


DRIVERS = {package.name: package for package in recorded("drivers")}
TOOLKIT = {package.name: package for package in recorded("toolkit")}


def rules(image: Image) -> list[str]:
    return [found.rule for found in drivers.check(image)]


@pytest.mark.parametrize("name", sorted(DRIVERS.keys() - WITHOUT_FILES))
def test_the_files_of_a_driver_package_are_a_driver(name: str) -> None:
    found = list(drivers.check(Image({path: Entry(1) for path in DRIVERS[name].files})))

    assert {one.rule for one in found} == {"driver"}


@pytest.mark.parametrize("name", sorted(TOOLKIT))
def test_the_files_of_a_package_of_the_toolkit_are_no_driver(name: str) -> None:
    assert rules(Image({path: Entry(1) for path in TOOLKIT[name].files})) == []


@pytest.mark.parametrize(("packages", "found"), [(DRIVERS, sorted(DRIVERS)), (TOOLKIT, [])], ids=["drivers", "toolkit"])
def test_the_list_of_installed_packages_tells_them_apart(
    packages: dict[str, Package], found: list[str], tmp_path: Path
) -> None:
    status = tmp_path / "status"
    status.write_text(
        "\n".join(
            f"Package: {one.name}\nStatus: install ok installed\nVersion: {one.version}\n" for one in packages.values()
        )
    )

    said = [one.where for one in drivers.check(Image({"var/lib/dpkg/status": Entry(1, content=status)}))]

    assert said == ([tuple(f"{name} (in var/lib/dpkg/status)" for name in found)] if found else [])


def test_the_page_beside_the_lists_names_what_they_hold() -> None:
    page = (RECORDED / "README.md").read_text()

    assert [
        one for one in (*DRIVERS.values(), *TOOLKIT.values()) if f"| `{one.name}` | {one.version} |" not in page
    ] == []
