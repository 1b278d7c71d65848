"""A .tar.gz read as if a stranger had made it: in one pass, in constant memory, to its last byte.

Python's tarfile is made for archives that one trusts: it reads whole headers of any size into memory, follows chains
of them by recursion and takes damage between two members for the end of the archive; gzip.GzipFile reads the file name
in a gzip header byte by byte, however long it is. This reader knows what tar and gzip write for plain files and
folders (ustar, pax, long names of GNU) and refuses the rest.

https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html ("pax" and "ustar Interchange Format")
https://www.gnu.org/software/tar/manual/html_node/Standard.html
https://www.rfc-editor.org/rfc/rfc1952
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

_CHUNK_BYTES: Final = 1 << 20
_PACKED_BYTES: Final = 1 << 16  # what is not decompressed yet is copied at every read
_BLOCK_BYTES: Final = 512
# A gzip file may be several, one after the other; parallel compressors make one of every 64 KiB.
_GZIP_MEMBERS: Final = 100_000
# Of extended headers and long names, which are read as a whole. File systems allow 4 KiB.
_ABOUT_BYTES: Final = 1 << 16
_SHOWN: Final = 200  # characters of a name in a message
_ZERO: Final = bytes(_BLOCK_BYTES)

_FILES: Final = (b"0", b"\0")
_FOLDER: Final = b"5"
_LONG_NAME: Final = b"L"
_EXTENDED: Final = b"x"
_GLOBAL: Final = b"g"


class ArchiveInvalid(Exception):
    """An archive is damaged, too large, or holds a member that could land outside its folder."""


@dataclass(frozen=True)
class Limits:
    """The most that is unpacked: Greengrass takes 2 GB of artifacts per component, everything together.

    https://docs.aws.amazon.com/general/latest/gr/greengrassv2.html
    """

    unpacked_bytes: int = 2_000_000_000
    members: int = 10_000

    @property
    def stream_bytes(self) -> int:
        """What an archive of that much may have with its headers, paddings and extended headers."""
        return self.unpacked_bytes + 4096 * self.members


class Content:
    """The bytes of one member. They can be read until the next member is asked for."""

    def __init__(self, stream: "_Gunzip", size: int) -> None:
        self._stream = stream
        self._left_bytes = size

    def read(self, size: int = _CHUNK_BYTES, /) -> bytes:
        """At most `size` bytes; b"" when all have been read."""
        content = self._stream.exactly(min(size, self._left_bytes))
        self._left_bytes -= len(content)
        return content

    def skip(self) -> None:
        while self.read():
            pass


def files(file: IO[bytes], limits: Limits) -> Iterator[tuple[str, Content]]:
    """The regular files of an archive, in its order, by the names that it gives them. Folders are left out.

    Raises:
        ArchiveInvalid: what is wrong, as the end of a sentence that begins with the archive's name and ": ".
    """
    stream = _Gunzip(file, limits.stream_bytes)
    about: dict[str, str] = {}
    unpacked_bytes = headers = members = 0
    while (block := stream.exactly(_BLOCK_BYTES)) != _ZERO:
        headers += 1
        # An extended header and a long name may stand before each.
        if headers > 3 * limits.members:
            raise ArchiveInvalid(f"it holds more than {limits.members} members, the most allowed")
        kind, name, size = _header(block)
        if kind in (_EXTENDED, _GLOBAL, _LONG_NAME):
            about |= _about(kind, stream, size)
            continue
        name, size = about.get("path", name), _size(about.get("size", ""), size)
        about = {}
        members, unpacked_bytes = members + 1, unpacked_bytes + size
        if members > limits.members or unpacked_bytes > limits.unpacked_bytes:
            raise ArchiveInvalid(
                f"it holds more than {limits.members} members or {limits.unpacked_bytes} bytes, the most allowed"
            )
        folder = kind == _FOLDER or (kind == b"\0" and name.endswith("/"))
        if not folder and kind not in _FILES:
            raise ArchiveInvalid(f"member {name[:_SHOWN]!r} is a link or a device and must be a regular file")
        content = Content(stream, size)
        if not folder:
            yield name, content
        elif ".." in name.split("/"):
            raise ArchiveInvalid(f"member {name[:_SHOWN]!r} has a name that could lead out of the folder")
        content.skip()
        stream.exactly(-size % _BLOCK_BYTES)
    stream.finish()


class _Gunzip:
    """What a gzip file holds, checked against its sums, and never more of it than allowed."""

    def __init__(self, file: IO[bytes], limit_bytes: int) -> None:
        self._file = file
        self._left_bytes = limit_bytes
        self._members = 0
        self._packed = b""
        self._next_member()

    def exactly(self, size: int) -> bytes:
        """So many bytes, and not one less."""
        parts: list[bytes] = []
        while size > 0:
            part = self._read(min(size, _CHUNK_BYTES))
            if not part:
                raise ArchiveInvalid("it ends in the middle: it was cut off")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Read what is left: the sum of everything stands at the end."""
        while self._read(_CHUNK_BYTES):
            pass

    def _read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end."""
        content = b""
        while not content:
            self._packed = self._packed or self._file.read(_PACKED_BYTES)
            if not self._packed:
                if self._inflate.eof:
                    return b""
                raise ArchiveInvalid("it ends in the middle: it was cut off")
            if self._inflate.eof:
                self._packed = self._packed.lstrip(b"\0")  # padding
                if self._packed:
                    self._next_member()
                continue
            try:
                content = self._inflate.decompress(self._packed, size)
            except zlib.error as error:
                raise ArchiveInvalid(f"it is no readable .tar.gz ({error})") from None
            self._packed = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        self._left_bytes -= len(content)
        if self._left_bytes < 0:
            raise ArchiveInvalid("it unpacks to more bytes than allowed")
        return content

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _GZIP_MEMBERS:
            raise ArchiveInvalid(f"it is made of more than {_GZIP_MEMBERS} gzip files")
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


def _header(block: bytes) -> tuple[bytes, str, int]:
    """Kind, name and size in a header block."""
    # The sum counts its own field as blanks.
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ArchiveInvalid("a header in it is damaged")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    return block[156:157], name, _number(block[124:136])


def _about(kind: bytes, stream: _Gunzip, size: int) -> dict[str, str]:
    """What a header says about the member after it: `path` and `size`, if it does."""
    if size > _ABOUT_BYTES:
        raise ArchiveInvalid(f"a header in it has {size} bytes and may have {_ABOUT_BYTES}")
    content = stream.exactly(size)
    stream.exactly(-size % _BLOCK_BYTES)
    if kind == _LONG_NAME:
        return {"path": _text(content)}
    records = dict(_records(content))
    if any(name.startswith("GNU.sparse.") for name in records):
        raise ArchiveInvalid("a member is sparse and must be a regular file")
    said: dict[str, str] = {name: records[name] for name in ("path", "size") if name in records}
    if kind == _GLOBAL and said:
        raise ArchiveInvalid("a header in it gives every member the same name or size")
    return said


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """The records `<length> <key>=<value>\\n` of an extended header; the length is that of the whole record."""
    while content:
        digits, _, _ = content[:10].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = content[len(digits) + 1 : length - 1].partition(b"=")
        if not equals or content[length - 1 : length] != b"\n":
            raise ArchiveInvalid("an extended header in it is damaged")
        yield _text(key), _text(value)
        content = content[length:]


def _text(field: bytes) -> str:
    # What is no UTF-8 stays recognisable; as the name of a file it is refused by whoever wants to write one.
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _size(stated: str, otherwise: int) -> int:
    if not stated:
        return otherwise
    if not (stated.isascii() and stated.isdigit() and len(stated) < 20):
        raise ArchiveInvalid("a header in it is damaged")
    return int(stated)


def _number(field: bytes) -> int:
    """Octal digits, or with the highest bit set a big-endian number, as GNU writes large ones."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    digits = field.strip(b" \0")
    # int() would also take signs, underscores and blanks.
    if digits.strip(b"01234567"):
        raise ArchiveInvalid("a header in it is damaged")
    return int(digits, 8) if digits else 0
