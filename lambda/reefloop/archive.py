"""Archives that came from a job or a stranger, unpacked into one folder; and archives whose bytes never vary."""

import gzip
import hashlib
import shutil
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final

from reefloop import tarball
from reefloop.tarball import ArchiveInvalid as ArchiveInvalid
from reefloop.tarball import Limits as Limits

_CHUNK_BYTES: Final = 1 << 20
_LIMITS: Final = Limits()
# Names must mean the same file on every system that unpacks them, Windows among them:
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
_FORBIDDEN: Final = frozenset('\\:*?"<>|')
_RESERVED: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(10))]
)
_PART_BYTES: Final = 255
_NAME_BYTES: Final = 1024
_PARTS: Final = 8
# Models hardly shrink, however long one tries.
_COMPRESSION: Final = 1


def extract(
    file: IO[bytes],
    folder: Path,
    *,
    source: str,
    wanted: Callable[[str], bool] = lambda _: True,
    limits: Limits = _LIMITS,
) -> dict[str, int]:
    """Unpack the wanted regular files of a .tar.gz into a folder, streamed.

    Args:
        file: the archive.
        folder: where to; nothing is ever written outside it.
        source: what the archive is, for messages.
        wanted: which names to take; those of the rest are checked all the same.
        limits: the most that the whole archive may unpack to.

    Returns:
        The names unpacked, sorted, with "/" between their parts, and their bytes.

    Raises:
        ArchiveInvalid: also when only an unwanted member is unsafe: such an archive is not to be trusted at all. What
            was unpacked before it was found out is still in the folder.
    """
    names, taken = _Names(), dict[str, int]()
    try:
        for stated, content in tarball.files(file, limits):
            name = names.add(stated)
            if wanted(name):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    shutil.copyfileobj(content, target, _CHUNK_BYTES)
                    taken[name] = target.tell()
    except ArchiveInvalid as error:
        raise ArchiveInvalid(f"{source}: {error}; nothing of it was used: write it again") from None
    return dict(sorted(taken.items()))


def names(file: IO[bytes], *, source: str, limits: Limits = _LIMITS) -> list[str]:
    """The names of all regular files in a .tar.gz, sorted. The whole of it is read and checked, and nothing written.

    Raises:
        ArchiveInvalid: as `extract` does.
    """
    found: list[str] = []

    def note(name: str) -> bool:
        found.append(name)
        return False

    extract(file, Path(), source=source, wanted=note, limits=limits)
    return sorted(found)


@dataclass
class _Names:
    """The names in one archive. No two of them may be the same file anywhere, nor one a file and a folder."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def add(self, stated: str) -> str:
        """The name without "./" in front, if it stays below the folder on every system."""
        name = stated.removeprefix("./")
        parts = name.split("/")
        if len(parts) > _PARTS or len(name.encode(errors="replace")) > _NAME_BYTES or not all(map(_is_safe, parts)):
            raise ArchiveInvalid(f"member {stated[:200]!r} has a name that could lead out of the folder")
        # Windows and macOS ignore case, macOS how an accent is written.
        path = PurePosixPath(unicodedata.normalize("NFC", name).casefold())
        folders = {str(folder) for folder in path.parents}
        if str(path) in self.files | self.folders or folders & self.files:
            raise ArchiveInvalid(f"member {name[:200]!r} is there twice, or is a file and a folder")
        self.files.add(str(path))
        self.folders |= folders
        return name


def _is_safe(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and part.isprintable()
        and part[-1] not in ". "
        and not _FORBIDDEN & set(part)
        and part.partition(".")[0].rstrip().lower() not in _RESERVED
        and len(part.encode(errors="replace")) <= _PART_BYTES
    )


def sha256sums(folder: Path) -> str:
    """The sums of every file below a folder, as `sha256sum --check` reads them, sorted by name."""
    lines = []
    for name in _files(folder):
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def write_zip(folder: Path, path: Path) -> None:
    """Pack a folder into a ZIP whose bytes depend on the names and contents alone.

    Stored, not deflated: models and photographs hardly shrink, and the output of zlib differs between its versions,
    while an artifact that Greengrass has seen must never change.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in _files(folder):
            entry = zipfile.ZipInfo(name)  # dated 1980-01-01, the earliest that ZIP knows
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever this runs
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)


def write_tar(file: IO[bytes], members: Mapping[str, Path]) -> None:
    """Pack files into a .tar.gz under these names, sorted, with no dates or owners in it."""
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_COMPRESSION, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            with path.open("rb") as source:
                tar.addfile(entry, source)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
