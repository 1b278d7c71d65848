import gzip
import io
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefloop import archive
from reefloop.archive import ArchiveInvalid, Limits
from tests.any import any_bytes, tar_gz

KINDS = [
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CONTTYPE,
]

# Names that a hostile archive would use, and any other.
PARTS = st.one_of(st.sampled_from(["..", ".", "", "a", "b", "etc", "\\", "C:", "~"]), st.text(max_size=5))
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(draw(NAMES))
    entry.type = draw(st.sampled_from(KINDS))
    entry.linkname = draw(NAMES) if entry.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    content = draw(st.binary(max_size=64)) if entry.type == tarfile.REGTYPE else b""
    entry.size = len(content)
    return entry, content


def packed(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for entry, content in entries:
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def extract(content: bytes, folder: Path, limits: Limits | None = None) -> list[str]:
    return list(archive.extract(io.BytesIO(content), folder, source="s3://b/a.tar.gz", limits=limits or Limits()))


def named(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    return entry


def raw(entry: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """One member as its header says, whatever the content; no end of the archive."""
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@settings(max_examples=150)
@given(entries=st.lists(members(), max_size=4))
def test_no_archive_writes_outside_its_folder(entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name, "outer", "inner")
        try:
            content = packed(entries)
        except UnicodeEncodeError:
            return  # a name that no tar can hold
        try:
            taken = extract(content, folder)
        except ArchiveInvalid:
            taken = None
        written = everything_below(Path(name))
        assert all(path.startswith("outer/inner/") for path in written)
        assert not [path for path in Path(name).rglob("*") if path.is_symlink()]
        if taken is not None:
            assert {f"outer/inner/{path}" for path in taken} == written


@settings(max_examples=150)
@given(noise=st.binary(max_size=600), zipped=st.booleans())
def test_no_bytes_do_worse_than_be_refused(noise: bytes, zipped: bool) -> None:
    with TemporaryDirectory() as name:
        with suppress(ArchiveInvalid):
            assert extract(gzip.compress(noise) if zipped else noise, Path(name)) == []
        assert everything_below(Path(name)) == set()


@settings(max_examples=100)
@given(data=st.data())
def test_no_damage_does_worse_than_be_refused(data: st.DataObject) -> None:
    entry = tarfile.TarInfo("folder/file")
    entry.size = 700
    plain = bytearray(gzip.decompress(packed([(entry, b"x" * 700)])))
    for _ in range(data.draw(st.integers(1, 3))):
        plain[data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    # A header that was changed with care: its checksum fits.
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    with TemporaryDirectory() as name:
        with suppress(ArchiveInvalid):
            extract(gzip.compress(bytes(plain)), Path(name, "in"))
        assert all(path.startswith("in/") for path in everything_below(Path(name)))


@settings(max_examples=100)
@given(
    names=st.lists(st.lists(st.text("abé ", max_size=70).map("x{}x".format), min_size=1, max_size=3), max_size=5),
    content=st.binary(max_size=1500),
    format_=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_what_tarfile_writes_is_read_as_it_was(names: list[list[str]], content: bytes, format_: int) -> None:
    files = {"/".join([str(number), *parts]): content[number:] for number, parts in enumerate(names)}
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as file, tarfile.open(fileobj=file, mode="w", format=format_) as tar:
        tar.addfile(named(".", tarfile.DIRTYPE))
        for name, one in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uname = len(one), "ü" * 20
            try:
                tar.addfile(entry, io.BytesIO(one))
            except ValueError:
                return  # a name that is too long for the format
    with TemporaryDirectory() as folder:
        assert extract(buffer.getvalue(), Path(folder)) == sorted(files)
        assert {name: (Path(folder) / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_a_name_that_is_too_long_for_its_field(tmp_path: Path, format_: Literal[0, 1, 2]) -> None:
    name = f"{'a' * 90}/{'b' * 90}"
    content = gzip.compress(named(name).tobuf(format_) + bytes(1024))
    assert extract(content, tmp_path) == [name]


def test_unpacks_what_is_wanted_and_checks_the_rest_all_the_same(tmp_path: Path) -> None:
    content = tar_gz({"./keep/a": b"1", "keep/b": b"22", "drop": b"3"})
    taken = archive.extract(io.BytesIO(content), tmp_path, source="x", wanted=lambda name: name.startswith("keep/"))
    assert taken == {"keep/a": 1, "keep/b": 2}
    assert (tmp_path / "keep" / "a").read_bytes() == b"1"
    with pytest.raises(ArchiveInvalid):
        archive.extract(io.BytesIO(tar_gz({"../x": b""})), tmp_path, source="x", wanted=lambda _: False)


def test_names_are_told_without_unpacking_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert archive.names(io.BytesIO(tar_gz({"b": b"1", "a/c": b"2"})), source="x") == ["a/c", "b"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGLINK,
    ],
)
def test_refuses_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    entry = named("a", kind)
    entry.linkname = "/etc/passwd"
    with pytest.raises(
        ArchiveInvalid, match=r"s3://b/a\.tar\.gz: member 'a' is a link or a device .* nothing of it was"
    ):
        extract(packed([(entry, b"")]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_sparse_file_that_an_extended_header_announces(tmp_path: Path) -> None:
    entry = named("a")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999999999"}
    with pytest.raises(ArchiveInvalid, match="a member is sparse"):
        extract(packed([(entry, b"")]), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("../a", "/etc/passwd", "a/../../b", "a//b", "a/./b", "C:\\a", "C:a", "\\\\host\\a", "a\nb", "a\x1b[2J"),
        *("nul", "COM1.txt", "a. ", "a.", "a*", "a" * 256, "/".join("abcdefghi"), "\u202egpj.exe", "\udcff"),
    ],
)
def test_refuses_a_name_that_is_another_file_somewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveInvalid, match="has a name that could lead out of the folder"):
        extract(packed([(named(name), b"")]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_folder_that_leads_out(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="could lead out of the folder"):
        extract(packed([(named("../x", tarfile.DIRTYPE), b"")]), tmp_path)


@pytest.mark.parametrize("names", [("a", "./a"), ("a", "A"), ("a", "a/b"), ("a/b", "a"), ("\u00e9", "e\u0301")])
def test_refuses_two_names_of_one_file(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ArchiveInvalid, match="is there twice, or is a file and a folder"):
        extract(packed([(named(name), b"") for name in names]), tmp_path)


def test_refuses_more_members_than_allowed(tmp_path: Path) -> None:
    content = tar_gz({str(number): b"" for number in range(4)})
    with pytest.raises(ArchiveInvalid, match="more than 3 members or 2000000000 bytes"):
        extract(content, tmp_path, Limits(members=3))


def test_members_without_end_end_soon(tmp_path: Path) -> None:
    content = gzip.compress(raw(named("folder", tarfile.DIRTYPE)) * 40_000, 1)
    with pytest.raises(ArchiveInvalid, match="more than 10000 members"):
        extract(content, tmp_path)


def test_refuses_an_archive_that_unpacks_to_more_than_allowed(tmp_path: Path) -> None:
    bomb = tar_gz({"zeros": bytes(3_000_000)})
    assert len(bomb) < 10_000
    with pytest.raises(ArchiveInvalid, match="or 1000000 bytes"):
        extract(bomb, tmp_path, Limits(unpacked_bytes=1_000_000))
    assert everything_below(tmp_path) == set()


class Zeros(io.BytesIO):
    """A gzip file that goes on for ever: a member with 10 GiB of zeros, whatever its header said."""

    def __init__(self, header: bytes) -> None:
        super().__init__()
        deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
        self._start = deflate.compress(header) + deflate.flush(zlib.Z_FULL_FLUSH)
        # Flushed in full, the stream of a MiB can stand behind itself.
        self._again = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
        self.given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.given += 1
        return self._start if self.given == 1 else self._again


@pytest.mark.parametrize(
    ("stated_bytes", "message"),
    [(10 << 30, "or 50000000 bytes"), (1 << 20, "unpacks to more bytes than allowed")],
)
def test_ten_gibibytes_of_zeros_are_not_written(tmp_path: Path, stated_bytes: int, message: str) -> None:
    entry = named("zeros")
    entry.size = stated_bytes
    file = Zeros(entry.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(ArchiveInvalid, match=message):
        archive.extract(file, tmp_path, source="x", limits=Limits(unpacked_bytes=50_000_000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1 << 20


def test_refuses_a_bomb_that_hides_behind_the_end(tmp_path: Path) -> None:
    content = gzip.compress(raw(named("a")) + bytes(3_000_000))
    with pytest.raises(ArchiveInvalid, match="unpacks to more bytes than allowed"):
        extract(content, tmp_path, Limits(unpacked_bytes=1_000_000, members=10))


def test_refuses_a_bomb_that_hides_in_a_header(tmp_path: Path) -> None:
    entry = named("long")
    entry.pax_headers = {"comment": "x" * 3_000_000}
    with pytest.raises(ArchiveInvalid, match=r"a header in it has 30000\d\d bytes and may have 65536"):
        extract(packed([(entry, b"")]), tmp_path)


def test_refuses_headers_that_only_announce_other_headers(tmp_path: Path) -> None:
    endless = raw(named("pax", tarfile.XHDTYPE)) * 40_000
    with pytest.raises(ArchiveInvalid, match="more than 10000 members"):
        extract(gzip.compress(endless, 1), tmp_path)


def headed(kind: bytes, content: bytes) -> bytes:
    """An archive of one file behind a header that says more about it."""
    about = named("about", kind)
    about.size = len(content)
    return gzip.compress(raw(about, content) + raw(named("a")) + bytes(1024))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (headed(tarfile.XHDTYPE, b"99 path=x\n"), "an extended header in it is damaged"),
        (headed(tarfile.XHDTYPE, b"9 path=xy\n"), "an extended header in it is damaged"),
        (headed(tarfile.XHDTYPE, b"no record"), "an extended header in it is damaged"),
        (headed(tarfile.XHDTYPE, b"11 size=-1\n"), "a header in it is damaged"),
        (headed(tarfile.XHDTYPE, b"12 size=1_0\n"), "a header in it is damaged"),
        (headed(tarfile.XHDTYPE, b"11 path=.."), "an extended header in it is damaged"),
        (headed(tarfile.XHDTYPE, b"13 path=../x\n"), "could lead out of the folder"),
        (headed(tarfile.XGLTYPE, b"10 path=x\n"), "gives every member the same name or size"),
        (headed(tarfile.GNUTYPE_LONGNAME, b"../x\0"), "could lead out of the folder"),
    ],
)
def test_refuses_what_a_header_says_of_the_next(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ArchiveInvalid, match=reason):
        extract(content, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_too_large_for_its_field_stands_in_a_header_of_its_own(tmp_path: Path) -> None:
    assert extract(headed(tarfile.XHDTYPE, b"10 size=0\n"), tmp_path) == ["a"]
    with pytest.raises(ArchiveInvalid, match="or 2000000000 bytes"):
        extract(headed(tarfile.XHDTYPE, b"20 size=10737418240\n"), tmp_path)


@pytest.mark.parametrize("size", [b"-0000000001\0", b"0x000000010\0", b"\xff" * 12, b"\x80" + b"\xff" * 11])
def test_refuses_a_size_that_is_none(tmp_path: Path, size: bytes) -> None:
    block = bytearray(raw(named("a")))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(ArchiveInvalid, match=r"a header in it is damaged|or 2000000000 bytes"):
        extract(gzip.compress(bytes(block)), tmp_path)


def test_refuses_gzip_files_that_only_announce_other_gzip_files(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="made of more than 100000 gzip files"):
        extract(gzip.compress(b"") * 100_001, tmp_path)


def test_reads_what_was_compressed_in_parallel(tmp_path: Path) -> None:
    plain = gzip.decompress(tar_gz({"a": b"content"}))
    parts = [gzip.compress(plain[start : start + 700]) for start in range(0, len(plain), 700)]
    assert extract(b"".join(parts) + bytes(100), tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("kept", [0, 5, 50_000, -8, -1])
def test_refuses_an_archive_that_was_cut_off(tmp_path: Path, kept: int) -> None:
    whole = tar_gz({"a": any_bytes(100_000)})
    with pytest.raises(ArchiveInvalid, match="it ends in the middle: it was cut off"):
        extract(whole[:kept], tmp_path)


def test_refuses_a_tar_that_was_cut_off_before_it_was_compressed(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="it was cut off"):
        extract(gzip.compress(raw(named("a"))), tmp_path)


def test_refuses_an_archive_whose_content_is_not_what_was_packed(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(raw(named("a")) + bytes(1024), 0))
    content[100] ^= 1  # in the padding of the name: no header and no length shows it
    with pytest.raises(ArchiveInvalid, match=r"damaged|incorrect data check"):
        extract(bytes(content), tmp_path)


def test_refuses_what_stands_behind_the_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match=r"no readable \.tar\.gz"):
        extract(tar_gz({"a": b""}) + b"more", tmp_path)


def test_a_zip_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    for name, files in (("one", ["b/x", "a"]), ("two", ["a", "b/x"])):
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"content of {file}")
            path.chmod(0o600 if name == "one" else 0o777)
        archive.write_zip(tmp_path / name, tmp_path / f"{name}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as made:
        assert made.namelist() == ["a", "b/x"]
        assert made.testzip() is None


def test_a_tar_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"content")
        buffer = io.BytesIO()
        members = [("model.onnx", tmp_path / name), ("a/b", tmp_path / name)]
        archive.write_tar(buffer, dict(members if name == "one" else reversed(members)))
        made.append(buffer.getvalue())
    assert made[0] == made[1]
    assert extract(made[0], tmp_path / "out") == ["a/b", "model.onnx"]
