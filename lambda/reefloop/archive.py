"""Archives that came from a job, read as if a stranger had made them; and archives whose bytes never vary."""

import gzip
import hashlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

_CHUNK_BYTES: Final = 1 << 20
_PART_BYTES: Final = 255  # what file systems allow for one name
# The last two: a name that is a file and a folder at once.
_DAMAGED: Final = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    FileExistsError,
    NotADirectoryError,
)


class ArchiveInvalid(Exception):
    """An archive is damaged, too large, or holds a member that could land outside its folder."""


@dataclass(frozen=True)
class Limits:
    """The most that is unpacked: Greengrass takes 2 GB of artifacts per component, everything together.

    https://docs.aws.amazon.com/general/latest/gr/greengrassv2.html
    """

    unpacked_bytes: int = 2_000_000_000
    members: int = 10_000


class _Bounded:
    """A stream that refuses to give more than so many bytes: the sizes that a tar's headers state may be lies."""

    def __init__(self, stream: IO[bytes], limit_bytes: int) -> None:
        self._stream = stream
        self._left_bytes = limit_bytes

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left_bytes -= len(content)
        if self._left_bytes < 0:
            raise ArchiveInvalid("it unpacks to more bytes than allowed")
        return content


def extract(
    file: BinaryIO,
    folder: Path,
    *,
    source: str,
    wanted: Callable[[str], bool] = lambda _: True,
    limits: Limits = Limits(),
) -> list[str]:
    """Unpack the wanted regular files of a .tar.gz into a folder, streamed.

    Args:
        file: the archive.
        folder: where to; nothing is ever written outside it.
        source: what the archive is, for messages.
        wanted: which names to take; those of the rest are checked all the same.
        limits: the most that the whole archive may unpack to.

    Returns:
        The names unpacked, sorted, with "/" between their parts.

    Raises:
        ArchiveInvalid: also when only an unwanted member is unsafe: such an archive is not to be trusted at all.
    """
    taken: list[str] = []
    try:
        for name, content in _files(file, limits):
            if wanted(name):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    shutil.copyfileobj(content, target, _CHUNK_BYTES)
                taken.append(name)
    except ArchiveInvalid as error:
        raise ArchiveInvalid(f"{source}: {error}; it was not used: run the job that wrote it again") from None
    except _DAMAGED as error:
        raise ArchiveInvalid(f"{source} is no readable .tar.gz ({error}): run the job that wrote it again") from error
    return sorted(taken)


def _files(file: BinaryIO, limits: Limits) -> Iterator[tuple[str, IO[bytes]]]:
    # Each member has a header of 512 bytes and is padded to as much; long names take a few blocks more.
    bounded = _Bounded(gzip.GzipFile(fileobj=file), limits.unpacked_bytes + 4096 * limits.members)  # type: ignore[arg-type]
    with tarfile.open(fileobj=bounded, mode="r|") as tar:  # type: ignore[call-overload]
        seen: set[str] = set()
        unpacked_bytes = 0
        for count, member in enumerate(tar, start=1):
            unpacked_bytes += member.size
            if member.size < 0 or count > limits.members or unpacked_bytes > limits.unpacked_bytes:
                raise ArchiveInvalid(
                    f"it holds more than {limits.members} members or {limits.unpacked_bytes} bytes, the most allowed"
                )
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise ArchiveInvalid(f"member {member.name!r} is a link or a device and must be a regular file")
            name = _safe_name(member.name)
            if name in seen:
                raise ArchiveInvalid(f"member {name!r} is there twice")
            seen.add(name)
            content = tar.extractfile(member)
            assert content is not None  # noqa: S101 - a regular file has content
            yield name, content


def _safe_name(name: str) -> str:
    """The name without "./" in front, if it stays below the folder on every system."""
    parts = name.removeprefix("./").split("/")
    for part in parts:
        if (
            part in ("", ".", "..")
            or "\\" in part
            or ":" in part
            or not part.isprintable()
            or len(part.encode(errors="replace")) > _PART_BYTES
        ):
            raise ArchiveInvalid(f"member {name!r} has a name that could lead out of the folder")
    return "/".join(parts)


def sha256sums(folder: Path) -> str:
    """The sums of every file below a folder, as `sha256sum --check` reads them, sorted by name."""
    lines = []
    for name in _names(folder):
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def write_zip(folder: Path, path: Path) -> None:
    """Pack a folder into a ZIP whose bytes depend on the names and contents alone.

    Stored, not deflated: models and photographs hardly shrink, and the output of zlib differs between its versions,
    while an artifact that Greengrass has seen must never change.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in _names(folder):
            entry = zipfile.ZipInfo(name)  # dated 1980-01-01, the earliest that ZIP knows
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever this runs
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)


def write_tar(file: IO[bytes], *, name: str, content: Path) -> None:
    """Pack one file into a .tar.gz under a name, with no date or owner in it."""
    entry = tarfile.TarInfo(name)
    entry.size = content.stat().st_size
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
        content.open("rb") as source,
    ):
        tar.addfile(entry, source)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
