"""Layers of images: what a Dockerfile copies, laid out in a folder and packed."""

import io
import shutil
import tarfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path

from offline.runners.images import Dockerfile


class CommandError(Exception):
    """A command that fails; the message is what it prints."""


def lay_out(dockerfile: Dockerfile, context: Path, rootfs: Path) -> None:
    """Copy what each COPY names: a folder's content, or files; without what .dockerignore names.

    Raises:
        CommandError: a COPY that finds nothing, or a pattern in .dockerignore that would be lost in silence.
    """
    ignored = _ignored(context)
    rootfs.mkdir(parents=True, exist_ok=True)
    for source, target in dockerfile.copies:
        found = [context] if source in (".", "./") else sorted(context.glob(source.strip("/")))
        if not found:
            raise CommandError(f"COPY {source} {target}: not found in the build context, which has {names(context)}")
        place = rootfs / target.strip("/")
        for path in found:
            if path.is_dir():
                shutil.copytree(path, place, dirs_exist_ok=True, ignore=ignored)
            else:
                into = place / path.name if target.endswith("/") or len(found) > 1 else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)


def _ignored(context: Path) -> Callable[[str, list[str]], list[str]]:
    """What shutil.copytree leaves out: NAME at the top and **/NAME anywhere."""
    path = context / ".dockerignore"
    lines = [line.strip() for line in path.read_text().splitlines()] if path.is_file() else []
    patterns = [line for line in lines if line and not line.startswith("#")]
    if unknown := [one for one in patterns if one.startswith("!") or "/" in one.removeprefix("**/")]:
        raise CommandError(f".dockerignore: {unknown} is not known here, only NAME and **/NAME")

    def ignored(folder: str, names: list[str]) -> list[str]:
        here = [one.removeprefix("**/") for one in patterns if Path(folder) == context or one.startswith("**/")]
        return [name for name in names if any(fnmatch(name, pattern) for pattern in here)]

    return ignored


def names(folder: Path) -> str:
    """What is in a folder, for a message."""
    return ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"


def packed(folder: Path) -> bytes:
    """The files of a folder as a tar: the same files make the same bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tar(
        {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777) for path in files}
    )


def tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A tar of (content, mode) by name."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()
