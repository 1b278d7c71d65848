"""`python -m jobs audit ROOT`: will an image run where the GPU's driver is the host's, and does it keep no secrets?

ROOT is the root of a file system, an image's tarball (`docker image save`, or an OCI layout in a tarball), or `-` for a
tarball on standard input. Of a folder, the image's configuration is taken from --config, or from a file beside the
folder with the folder's name and .json (what `docker image inspect` prints).

The exit status is 0 when nothing was found, 1 when something was, 2 when it could not be looked at. Only the standard
library is used, so that a build runs it before any package is there.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from jobs.audit import container, drivers, secrets
from jobs.audit.archive import archive
from jobs.audit.findings import Finding, finding
from jobs.audit.image import Config, Image, NotAuditable
from jobs.audit.reading import Reader, folder
from jobs.paths import Root

SUMMARY_CHARACTERS: Final = 1000
CLEAN: Final = "clean: "
"""What the summary of an image begins with that may be pushed, and of no other."""
FOUND: Final = 1
NOT_AUDITABLE: Final = 2


def run(_: Root, arguments: list[str]) -> None:
    """Look, and tell.

    Raises:
        SystemExit: 1 with findings, 2 when it could not be looked at.
    """
    asked = _parse(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="audit-") as scratch:
            image = _read(asked, Reader(Path(scratch)))
            findings = list(audit(image, architecture=asked.architecture))
    except NotAuditable as error:
        _write(asked.summary, f"not audited: {error}")
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(NOT_AUDITABLE) from None
    for found in findings:
        print(found.paragraph())
    print(f"{len(findings)} findings in {len(image.entries)} files")
    if image.config is None:
        print("no configuration of an image: its variables, entry point and platform were not looked at")
    _write(asked.summary, summary(findings, files=len(image.entries)))
    if asked.json:
        _write(asked.json, json.dumps([found.document() for found in findings], indent=1) + "\n")
    if findings:
        raise SystemExit(FOUND)


def audit(image: Image, *, architecture: str = "amd64") -> Iterator[Finding]:
    """Everything that is wrong with an image, what breaks jobs first."""
    yield from drivers.check(image)
    yield from container.cuda(image)
    yield from container.variables(image)
    yield from container.library_path(image)
    yield from container.entry_point(image)
    yield from container.reserved(image)
    yield from container.user(image)
    yield from container.platform(image, architecture=architecture)
    yield from secrets.check(image)
    if image.unreadable:
        yield finding("unreadable", "some of it cannot be read", sorted(image.unreadable))


def summary(findings: Sequence[Finding], *, files: int) -> str:
    """The findings in one paragraph of at most SUMMARY_CHARACTERS: what and where of all, then what to do."""
    if not findings:
        return f"{CLEAN}nothing found in {files} files"
    what = "; ".join(found.sentence for found in findings)
    todo = "; ".join(dict.fromkeys(found.todo for found in findings))
    text = f"{what}. To do: {todo}"
    return text if len(text) <= SUMMARY_CHARACTERS else text[: SUMMARY_CHARACTERS - 1] + "…"


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m jobs audit", description="find what keeps an image from running on a GPU"
    )
    parser.add_argument("root", metavar="ROOT", help="root folder of a file system, an image's tarball, or - for stdin")
    parser.add_argument("--config", type=Path, help="the image's configuration, as docker image inspect prints it")
    parser.add_argument("--base", type=Path, help="the same of the base image: what its layers hide is public already")
    parser.add_argument("--architecture", default="amd64", help="what the image has to be made for (amd64)")
    parser.add_argument("--json", type=Path, help="write the findings there")
    parser.add_argument(
        "--summary", type=Path, help=f"write one paragraph of at most {SUMMARY_CHARACTERS} characters there"
    )
    return parser.parse_args(arguments)


def _read(asked: argparse.Namespace, reader: Reader) -> Image:
    base = _config(asked.base).layers if asked.base else ()
    if asked.root == "-":
        return archive(sys.stdin.buffer, reader, base_layers=base)
    root = Path(asked.root)
    if root.is_file():
        with root.open("rb") as file:
            return archive(file, reader, base_layers=base)
    if not root.is_dir():
        raise NotAuditable(f"{root} is neither a folder nor a file")
    image = folder(root, reader)
    if described := asked.config or _beside(root.absolute()):
        image.config = _config(described)
    return image


def _beside(root: Path) -> Path | None:
    """The file with the folder's name and .json, where there is one; / has neither name nor neighbour."""
    path = root.parent / f"{root.name}.json"
    return path if root.name and path.is_file() else None


def _config(path: Path) -> Config:
    try:
        return Config.parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise NotAuditable(f"{path} is no configuration of an image: {error}") from None


def _write(path: Path | None, text: str) -> None:
    if path:
        path.write_text(text, encoding="utf-8")
