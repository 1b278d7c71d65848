"""Tarballs in a bucket, from a compiler or from a stranger, unpacked or listed within bounds."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from reefloop import archive, storage
from reefloop.archive import ArchiveInvalid, Limits

_LIMITS: Final = Limits()


def extract(
    uri: str, folder: Path, *, wanted: Callable[[str], bool] = lambda _: True, limits: Limits = _LIMITS
) -> dict[str, int]:
    """Unpack the wanted files of a .tar.gz into a folder; their names with their bytes.

    On the disk there are never more than `limits` has for the archive, and as much again for what it unpacks to.

    Raises:
        ObjectMissing: there is none at `uri`.
        ArchiveInvalid: it is damaged, too large or unsafe.
    """
    with _fetched(uri, limits) as file:
        return archive.extract(file, folder, source=uri, wanted=wanted, limits=limits)


def names(uri: str) -> list[str]:
    """The names of the files in a .tar.gz, sorted; the whole of it is checked.

    Raises:
        ObjectMissing, ArchiveInvalid: as `extract` does.
    """
    found = storage.find(*storage.split_uri(uri))
    names, fault = _names(uri, found.etag if found else "")
    if fault:
        raise ArchiveInvalid(fault)
    return list(names)


@lru_cache(maxsize=4)
def _names(uri: str, _etag: str) -> tuple[tuple[str, ...], str]:
    """The names, or what is wrong. Many targets are compiled from one tarball: it is read once, also a broken one."""
    try:
        with _fetched(uri, _LIMITS) as file:
            return tuple(archive.names(file, source=uri)), ""
    except ArchiveInvalid as error:
        return (), str(error)


@contextmanager
def _fetched(uri: str, limits: Limits) -> Iterator[IO[bytes]]:
    bucket, key = storage.split_uri(uri)
    found = storage.find(bucket, key)
    if found and found.size_bytes > limits.stream_bytes:
        raise ArchiveInvalid(f"{uri} has {found.size_bytes} bytes and may have {limits.stream_bytes}")
    # Downloaded whole before it is read: parts of a download are tried again, a stream that breaks is not.
    with tempfile.TemporaryFile() as file:
        storage.download(bucket, key, file)
        yield file
