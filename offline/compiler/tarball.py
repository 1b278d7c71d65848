"""The tarball: unpacked without harm, and written so that the same model gives the same bytes."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from offline.compiler.errors import bad_input

MAX_BYTES: Final = 2 * 1024**3
MAX_FILES: Final = 10_000


def unpack(source: Path, folder: Path) -> list[Path]:
    """The files of the tarball, unpacked below `folder` and sorted. Hidden ones are left out, as Neo leaves them out.

    Raises:
        CompileError: not a tar.gz, or one with links, devices, paths that lead elsewhere, or more in it than any model.
    """
    folder.mkdir(parents=True)
    try:
        with tarfile.open(source, "r:gz") as archive:
            _unpack(archive, folder)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise bad_input(
            f"Unable to untar input model. Please confirm the model is a tar.gz file ({_reason(error)})"
        ) from None
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise bad_input("No model file found.")
    return files


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    size = 0
    for number, member in enumerate(archive):
        size += member.size
        if number >= MAX_FILES or size > MAX_BYTES:
            raise tarfile.ExtractError(f"more than {MAX_FILES} files or {MAX_BYTES} bytes")
        if not (member.isfile() or member.isdir()) or member.name.startswith("/"):
            raise tarfile.ExtractError(f"{member.name!r} is neither a file nor a folder of the tarball")
        archive.extract(member, folder, filter="data")


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def pack(files: Mapping[str, bytes], target: Path) -> None:
    """Write a tar.gz of these files in the order given."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
