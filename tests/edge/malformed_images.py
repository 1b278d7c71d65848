"""Ten thousand malformed images, the same at every call.

They are real images of every format that is read, damaged by chance with a fixed seed: cut off, bits flipped, bytes
overwritten, blocks removed, doubled, moved between files and swapped for zeros, with the wrong beginning, with sizes
that nobody has the memory for, with EXIF data that lies.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

COUNT = 10_000
SIDE = 40
Damage = Callable[[bytearray, random.Random], bytes]


def exif_that_lies(chance: random.Random) -> bytes:
    """Tags of any number, type, count and offset, some of them pointing at each other or nowhere."""
    entries = b"".join(
        struct.pack("<HHII", chance.choice([0x112, 0x8769, 0x8825, 0x927C, chance.randrange(65536)]),
                    chance.randrange(16), chance.choice([1, 0xFFFFFFFF, chance.randrange(999)]),
                    chance.choice([8, 0, 0xFFFFFFFF, chance.randrange(99)]))
        for _ in range(chance.randrange(1, 30))
    )  # fmt: skip
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, chance.choice([len(entries) // 12, 65535])) + entries


def saved(form: str, mode: str, chance: random.Random, **options: object) -> bytes:
    pixels = np.frombuffer(chance.randbytes(SIDE * SIDE * 3), np.uint8).reshape(SIDE, SIDE, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def originals(chance: random.Random) -> list[bytes]:
    """Whole images: every format and kind of pixel, animations, progressive and compressed ones, with EXIF data."""
    more = [Image.new("RGB", (SIDE, SIDE), (level, 0, 0)) for level in (0, 99)]
    modes = {
        "JPEG": ("RGB", "L", "CMYK"),
        "PNG": ("RGB", "L", "LA", "P", "RGBA", "1", "I;16"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("P", "L"),
        "BMP": ("RGB", "P", "1"),
        "TIFF": ("RGB", "CMYK", "LA", "I;16", "F"),
        "PPM": ("RGB", "L", "1"),
    }
    plain = [saved(form, mode, chance) for form, found in modes.items() for mode in found]
    exif = [
        saved(form, "RGB", chance, exif=exif_that_lies(chance)) for form in ("JPEG", "PNG", "WEBP") for _ in range(8)
    ]
    return plain + exif + [
        saved("JPEG", "RGB", chance, progressive=True),
        saved("JPEG", "RGB", chance, comment=b"c" * 999, icc_profile=b"p" * 999),
        saved("MPO", "RGB", chance, save_all=True, append_images=more),
        saved("WEBP", "RGB", chance, save_all=True, append_images=more),
        saved("WEBP", "RGB", chance, lossless=True),
        saved("GIF", "P", chance, save_all=True, append_images=more),
        saved("PNG", "RGB", chance, save_all=True, append_images=more),
        *(saved("TIFF", "RGB", chance, compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
        saved("TIFF", "1", chance, compression="group4"),
    ]  # fmt: skip


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bombs(side: int = 50_000) -> dict[str, bytes]:
    """Small files that claim to be of 50,000 x 50,000 pixels, as far as their format can."""
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(b"\0" * 10**6)) + chunk(b"IEND", b"")
    jpeg = bytearray(saved("JPEG", "RGB", random.Random(0)))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    gif = bytearray(saved("GIF", "P", random.Random(0)))
    frame = gif.index(b",", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    gif[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
    screen = bytearray(gif)
    screen[6:10] = struct.pack("<HH", side, side)
    tiff = b"II*\0" + struct.pack("<IH", 8, 8) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in ((256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 200), (278, side), (279, 9))
    ) + bytes(400)  # fmt: skip
    bmp = b"BM" + struct.pack("<IIIIIIHHIIIIII", 999, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(200)
    return {
        "png": png, "jpeg": bytes(jpeg), "gif frame": bytes(gif), "gif screen": bytes(screen), "tiff": tiff,
        "webp": webp_that_claims(side, side), "bmp": bmp, "ppm": b"P6 50000 50000 255 " + bytes(200),
    }  # fmt: skip


def webp_that_claims(width: int, height: int) -> bytes:
    """An animation of small pictures on a large canvas."""
    content = bytearray(animated("WEBP"))
    at = content.index(b"VP8X") + 12
    content[at : at + 6] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(content)


def animated(form: str) -> bytes:
    buffer = io.BytesIO()
    pictures = [Image.new("RGB", (SIDE, SIDE), (level, 0, 0)) for level in (200, 0)]
    pictures[0].save(buffer, form, save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def progressive_bomb(side: int, scans: int) -> bytes:
    """The last scan of a progressive JPEG so many times: a few bytes each, and each a pass over the picture."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * scans + content[-2:]


def cut(content: bytearray, chance: random.Random) -> bytes:
    return bytes(content[: chance.randrange(len(content))])


def bits(content: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice([1, 2, 8, 64])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def head(content: bytearray, chance: random.Random) -> bytes:
    """Where sizes, counts and offsets stand."""
    for _ in range(chance.choice([1, 2, 4])):
        content[chance.randrange(min(200, len(content)))] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
    return bytes(content)


def zeros(content: bytearray, chance: random.Random) -> bytes:
    begin, length = chance.randrange(len(content)), chance.choice([1, 16, 512])
    content[begin : begin + length] = bytes(len(content[begin : begin + length]))
    return bytes(content)


def removed(content: bytearray, chance: random.Random) -> bytes:
    begin = chance.randrange(len(content))
    del content[begin : begin + chance.choice([1, 4, 100])]
    return bytes(content)


def doubled(content: bytearray, chance: random.Random) -> bytes:
    begin = chance.randrange(len(content))
    part = content[begin : begin + chance.choice([4, 100, 1000])]
    return bytes(content[:begin] + part * chance.choice([1, 2, 30]) + content[begin:])


def noise(content: bytearray, chance: random.Random) -> bytes:
    keep = chance.randrange(min(64, len(content)))
    return bytes(content[:keep]) + chance.randbytes(chance.randrange(600))


def words(content: bytearray, chance: random.Random) -> bytes:
    """A number of four bytes becomes an extreme one."""
    at = chance.randrange(max(1, len(content) - 4))
    content[at : at + 4] = chance.choice(
        [b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\0\0\xc3P"]
    )
    return bytes(content)


DAMAGES: tuple[Damage, ...] = (cut, bits, head, zeros, removed, doubled, noise, words)


def malformed() -> Iterator[tuple[str, bytes]]:
    """Ten thousand of them, the same each time."""
    chance = random.Random(20261122)
    whole = originals(chance)
    given = [("nothing", b""), ("zeros", bytes(5000)), ("text", b"not a picture"), ("html", b"<html>404</html>")]
    given += [(f"bomb {name}", content) for name, content in bombs().items()]
    given += [("progressive bomb", progressive_bomb(2000, 2000))]
    yield from given
    for number in range(COUNT - len(given)):
        damage, original = DAMAGES[number % len(DAMAGES)], chance.choice(whole)
        content = damage(bytearray(original), chance)
        if chance.random() < 0.1:
            other = chance.choice(whole)
            content = content[: chance.randrange(len(content) + 1)] + other[chance.randrange(len(other)) :]
        yield f"{number} {damage.__name__}", content
