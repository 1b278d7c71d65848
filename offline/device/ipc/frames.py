"""Frames of the event-stream RPC protocol that a component and its nucleus speak: bytes to values and back.

All integers are big-endian, checksums are CRC-32:

    u32 length of the whole frame | u32 length of the headers | u32 checksum of these eight bytes
    headers: u8 length, name, u8 type, value
    payload
    u32 checksum of everything before it

https://docs.aws.amazon.com/greengrass/v2/developerguide/interprocess-communication.html and, for the encoding,
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Final

Header = int | str | bytes

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM_BYTES: Final = 4
_OVERHEAD_BYTES: Final = _PRELUDE.size + _CHECKSUM_BYTES
_INT32, _STRING = 4, 7
# Headers of other types: their type → how many bytes the value has; -2: as many as the two bytes before it say.
_OTHERS: Final = {0: 0, 1: 0, 2: 1, 3: 2, 5: 8, 6: -2, 8: 8, 9: 16}


class FrameError(Exception):
    """Bytes that are no frame: whoever gets them closes the connection."""


class FrameTooLong(FrameError):
    """A frame of more bytes than the reader has room for."""


class MessageType(IntEnum):
    """The header `:message-type`."""

    APPLICATION = 0
    ERROR = 1
    PING = 2
    PING_RESPONSE = 3
    CONNECT = 4
    CONNECT_ACK = 5
    PROTOCOL_ERROR = 6
    INTERNAL_ERROR = 7


class Flag(IntFlag):
    """The header `:message-flags`."""

    NONE = 0
    ACCEPTED = 1
    TERMINATE = 2


@dataclass(frozen=True)
class Frame:
    """One message. Every one has the headers `:message-type`, `:message-flags` and `:stream-id`."""

    kind: int
    flags: int = 0
    stream: int = 0
    headers: Mapping[str, Header] = field(default_factory=dict)
    payload: bytes = b""

    def text(self, name: str) -> str:
        """The value of a header that is text; empty when it is not there or something else."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""

    def encoded(self) -> bytes:
        """The bytes of this frame: first the three headers that each has."""
        common = {":message-type": int(self.kind), ":message-flags": int(self.flags), ":stream-id": self.stream}
        headers = b"".join(_header(name, value) for name, value in {**common, **self.headers}.items())
        total = _OVERHEAD_BYTES + len(headers) + len(self.payload)
        lengths = struct.pack(">II", total, len(headers))
        body = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + self.payload
        return body + struct.pack(">I", zlib.crc32(body))


class Decoder:
    """Collects what comes over a socket and gives the whole frames in it, however they were cut up.

    Args:
        limit: the most bytes that a frame may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes.

        Raises:
            FrameError: this is no frame; what comes after it cannot be understood either.
        """
        self._buffer += data
        while len(self._buffer) >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(self._buffer)
            if zlib.crc32(self._buffer[:8]) != checksum:
                raise FrameError("the checksum of a frame's lengths is wrong")
            if total > self._limit:
                raise FrameTooLong(f"a frame has {total} bytes; at most {self._limit} fit")
            if total < _OVERHEAD_BYTES + headers:
                raise FrameError(f"a frame of {total} bytes cannot have {headers} bytes of headers")
            if len(self._buffer) < total:
                return
            whole = bytes(self._buffer[:total])
            del self._buffer[:total]
            yield _decoded(whole, headers)


def _decoded(whole: bytes, headers_length: int) -> Frame:
    if zlib.crc32(whole[:-_CHECKSUM_BYTES]) != int.from_bytes(whole[-_CHECKSUM_BYTES:], "big"):
        raise FrameError("the checksum of a frame is wrong")
    start = _PRELUDE.size + headers_length
    try:
        headers = dict(_headers(whole[_PRELUDE.size : start]))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise FrameError(f"the headers of a frame cannot be read: {error}") from None
    common = [headers.pop(name, None) for name in (":message-type", ":message-flags", ":stream-id")]
    kind, flags, stream = (value if isinstance(value, int) else None for value in common)
    if kind is None or flags is None or stream is None:
        raise FrameError("a frame lacks :message-type, :message-flags or :stream-id")
    return Frame(kind, flags, stream, headers, whole[start:-_CHECKSUM_BYTES])


def _headers(block: bytes) -> Iterator[tuple[str, Header]]:
    at = 0
    while at < len(block):
        end = at + 1 + block[at]
        name, kind = block[at + 1 : end].decode(), block[end]
        at = end + 1
        if kind == _INT32:
            yield name, struct.unpack_from(">i", block, at)[0]
            at += 4
        elif kind == _STRING:
            length = struct.unpack_from(">H", block, at)[0]
            yield name, block[at + 2 : at + 2 + length].decode()
            at += 2 + length
        elif (length := _OTHERS.get(kind, -1)) != -1:
            if length == -2:
                length = struct.unpack_from(">H", block, at)[0]
                at += 2
            yield name, block[at : at + length]
            at += length
        else:
            raise FrameError(f"header {name!r} is of type {kind}, which there is not")


def _header(name: str, value: Header) -> bytes:
    encoded = name.encode()
    start = bytes([len(encoded)]) + encoded
    if isinstance(value, int):
        return start + struct.pack(">Bi", _INT32, value)
    text = value.encode() if isinstance(value, str) else value
    return start + struct.pack(">BH", _STRING, len(text)) + text
