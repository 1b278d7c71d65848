"""Frames of Greengrass IPC, against what was seen on the wire of a real nucleus."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.device.ipc.frames import Decoder, Flag, Frame, FrameError, FrameTooLong, MessageType

JSON = "application/json"
SEEN = {
    "connect": (
        "0000007900000048e9e79475083a76657273696f6e070005302e312e300d3a6d6573736167652d7479706504000000040e3a6d6573736167"
        "652d666c61677304000000000a3a73747265616d2d696404000000007b2261757468546f6b656e223a20225a68717457677465463568595767"
        "525a227ded406606",
        Frame(MessageType.CONNECT, 0, 0, {":version": "0.1.0"}, b'{"authToken": "ZhqtWgteF5hYWgRZ"}'),
    ),
    "accepted": (
        "0000004700000037374cfe3f0d3a6d6573736167652d7479706504000000050e3a6d6573736167652d666c61677304000000010a3a737472"
        "65616d2d69640400000000e237e27d",
        Frame(MessageType.CONNECT_ACK, Flag.ACCEPTED),
    ),
    "request": (
        "000000e9000000c0db82b8770d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e12736572766963652d6d6f"
        "64656c2d747970650700266177732e677265656e677261737323476574436f6e66696775726174696f6e526571756573740d3a6d65737361"
        "67652d7479706504000000000e3a6d6573736167652d666c61677304000000000a3a73747265616d2d69640400000003096f706572617469"
        "6f6e07001f6177732e677265656e677261737323476574436f6e66696775726174696f6e7b226b657950617468223a205b22677265657469"
        "6e67225d7d7e315779",
        Frame(
            MessageType.APPLICATION,
            0,
            3,
            {
                ":content-type": JSON,
                "service-model-type": "aws.greengrass#GetConfigurationRequest",
                "operation": "aws.greengrass#GetConfiguration",
            },
            b'{"keyPath": ["greeting"]}',
        ),
    ),
    "error": (
        "000000e400000092a6774c1e0d3a6d6573736167652d7479706504000000010e3a6d6573736167652d666c61677304000000020a3a737472"
        "65616d2d696404000000050d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e12736572766963652d6d6f64"
        "656c2d747970650700246177732e677265656e6772617373235265736f757263654e6f74466f756e644572726f727b225f6d657373616765"
        "223a224b6579206e6f7420666f756e642e222c225f6572726f72436f6465223a225265736f757263654e6f74466f756e644572726f72227d"
        "f38be721",
        Frame(
            MessageType.ERROR,
            Flag.TERMINATE,
            5,
            {":content-type": JSON, "service-model-type": "aws.greengrass#ResourceNotFoundError"},
            b'{"_message":"Key not found.","_errorCode":"ResourceNotFoundError"}',
        ),
    ),
    "terminate": (
        "0000004700000037374cfe3f0d3a6d6573736167652d7479706504000000000e3a6d6573736167652d666c61677304000000020a3a737472"
        "65616d2d696404000000012809c8cf",
        Frame(MessageType.APPLICATION, Flag.TERMINATE, 1),
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_frames_that_were_seen_are_read(name: str) -> None:
    wire, frame = SEEN[name]
    assert list(Decoder(10_000).feed(bytes.fromhex(wire))) == [frame]


@pytest.mark.parametrize("name", ["accepted", "error", "terminate"])
def test_what_the_nucleus_sends_is_written_as_it_was_seen(name: str) -> None:
    wire, frame = SEEN[name]
    assert frame.encoded().hex() == wire


@given(cuts=st.lists(st.integers(1, 400), max_size=8))
def test_frames_may_come_cut_anywhere(cuts: list[int]) -> None:
    wire = b"".join(bytes.fromhex(each) for each, _ in SEEN.values())
    decoder, got, start = Decoder(10_000), [], 0
    for end in [*sorted(cuts), len(wire)]:
        got += decoder.feed(wire[start:end])
        start = end
    assert got == [frame for _, frame in SEEN.values()]


@given(at=st.integers(0, 100), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_a_frame(at: int, bit: int) -> None:
    wire = bytearray.fromhex(SEEN["connect"][0])
    wire[at] ^= 1 << bit
    with pytest.raises(FrameError):
        list(Decoder(10_000).feed(bytes(wire)))


def test_a_frame_beyond_the_limit_is_refused_before_it_is_whole() -> None:
    frame = Frame(MessageType.APPLICATION, 0, 1, payload=bytes(9_950)).encoded()
    assert len(frame) == 10_021
    with pytest.raises(FrameTooLong, match=r"10021 bytes; at most 10000"):
        list(Decoder(10_000).feed(frame[:12]))


def whole(headers: bytes, *, headers_length: int | None = None) -> bytes:
    lengths = (16 + len(headers)).to_bytes(4) + (len(headers) if headers_length is None else headers_length).to_bytes(4)
    body = lengths + zlib.crc32(lengths).to_bytes(4) + headers
    return body + zlib.crc32(body).to_bytes(4)


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


COMMON = (
    header(":message-type", 4, bytes(4)) + header(":message-flags", 4, bytes(4)) + header(":stream-id", 4, bytes(4))
)


@pytest.mark.parametrize(
    "headers",
    [
        header(":message-type", 4, bytes(4)),
        header(":message-type", 7, b"\x00\x01a") + COMMON[19:],
        COMMON + header("x", 10, b""),
        COMMON + header("x", 7, b"\x00\x01\xff"),
        COMMON + header("x", 4, b"\x00"),
        COMMON + b"\x20x",
    ],
)
def test_headers_that_cannot_be_read_make_no_frame(headers: bytes) -> None:
    with pytest.raises(FrameError):
        list(Decoder(10_000).feed(whole(headers)))


def test_headers_longer_than_their_frame_make_none() -> None:
    with pytest.raises(FrameError, match="cannot have 900 bytes of headers"):
        list(Decoder(10_000).feed(whole(COMMON, headers_length=900)))


def test_headers_of_every_type_are_passed_over() -> None:
    others = [(0, b""), (1, b""), (2, b"\x01"), (3, bytes(2)), (5, bytes(8)), (6, b"\x00\x02ab"), (9, bytes(16))]
    headers = COMMON + b"".join(header(f"h{kind}", kind, value) for kind, value in others)
    (frame,) = Decoder(10_000).feed(whole(headers))
    assert frame.headers["h6"] == b"ab"
    assert frame.text("h6") == frame.text("nowhere") == ""
