import gzip
import io
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

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
    return archive.extract(io.BytesIO(content), folder, source="s3://b/a.tar.gz", limits=limits or Limits())


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=150, deadline=None)
@given(noise=st.binary(max_size=600), zipped=st.booleans())
def test_no_bytes_do_worse_than_be_refused(noise: bytes, zipped: bool) -> None:
    with TemporaryDirectory() as name:
        with suppress(ArchiveInvalid):
            assert extract(gzip.compress(noise) if zipped else noise, Path(name)) == []
        assert everything_below(Path(name)) == set()


@settings(max_examples=100, deadline=None)
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


def test_unpacks_what_is_wanted_and_checks_the_rest_all_the_same(tmp_path: Path) -> None:
    content = tar_gz({"./keep/a": b"1", "keep/b": b"2", "drop": b"3"})
    taken = archive.extract(io.BytesIO(content), tmp_path, source="x", wanted=lambda name: name.startswith("keep/"))
    assert taken == ["keep/a", "keep/b"]
    assert (tmp_path / "keep" / "a").read_bytes() == b"1"
    with pytest.raises(ArchiveInvalid):
        archive.extract(io.BytesIO(tar_gz({"../x": b""})), tmp_path, source="x", wanted=lambda _: False)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_refuses_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("a")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with pytest.raises(ArchiveInvalid, match="member 'a' is a link or a device"):
        extract(packed([(entry, b"")]), tmp_path)


def test_refuses_a_name_that_is_there_twice(tmp_path: Path) -> None:
    twice = [(tarfile.TarInfo(name), b"") for name in ("a", "./a")]
    with pytest.raises(ArchiveInvalid, match="'a' is there twice"):
        extract(packed(twice), tmp_path)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_refuses_a_name_that_is_a_file_and_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ArchiveInvalid, match="no readable"):
        extract(tar_gz(dict.fromkeys(names, b"")), tmp_path)


def test_refuses_more_members_than_allowed(tmp_path: Path) -> None:
    content = tar_gz({str(number): b"" for number in range(4)})
    with pytest.raises(ArchiveInvalid, match="more than 3 members or 2000000000 bytes"):
        extract(content, tmp_path, Limits(members=3))


def test_refuses_an_archive_that_unpacks_to_more_than_allowed(tmp_path: Path) -> None:
    bomb = tar_gz({"zeros": bytes(3_000_000)})
    assert len(bomb) < 10_000
    with pytest.raises(ArchiveInvalid, match="or 1000000 bytes"):
        extract(bomb, tmp_path, Limits(unpacked_bytes=1_000_000))
    assert everything_below(tmp_path) == set()


def test_refuses_a_bomb_that_hides_in_a_header(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("long")
    entry.pax_headers = {"comment": "x" * 3_000_000}
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.addfile(entry, io.BytesIO(b""))
    with pytest.raises(ArchiveInvalid, match="unpacks to more bytes than allowed"):
        extract(buffer.getvalue(), tmp_path, Limits(unpacked_bytes=1_000_000, members=10))


def test_refuses_an_archive_that_was_cut_off(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="no readable"):
        extract(tar_gz({"a": any_bytes(100_000)})[:-1000], tmp_path)


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


def test_a_tar_depends_on_name_and_content_alone(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"content")
        buffer = io.BytesIO()
        archive.write_tar(buffer, name="model.onnx", content=tmp_path / name)
        made.append(buffer.getvalue())
    assert made[0] == made[1]
    assert extract(made[0], tmp_path / "out") == ["model.onnx"]
