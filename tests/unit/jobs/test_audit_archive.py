"""The audit reads images as Docker saves them and as builders lay them out, in one pass and without unpacking."""

import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import audit
from jobs.audit.archive import archive
from jobs.audit.image import Image, NotAuditable
from jobs.audit.reading import Reader
from tests.unit.jobs.images_to_audit import LINK, Files, clean, digest, layer, layout, saved, tar

REPOSITORY = Path(__file__).resolve().parents[3]
CLEAN = clean()
DRIVER: Files = {"usr/lib/libcuda.so.1": b"\x7fELF"}
KEY: Files = {"root/.ssh/id_rsa": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIB\n"}


class Pipe(io.RawIOBase):
    """Bytes that can be read once, from their beginning to their end."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(buffer)


def read(data: bytes, scratch: Path, *, base_layers: Sequence[str] = ()) -> Image:
    stream: BinaryIO = Pipe(data)  # type: ignore[assignment]
    return archive(stream, Reader(scratch), base_layers=base_layers)


def rules(data: bytes, scratch: Path, *, base_layers: Sequence[str] = ()) -> list[str]:
    return [found.rule for found in audit.audit(read(data, scratch, base_layers=base_layers))]


@pytest.mark.parametrize(
    "packed",
    [
        lambda layers: saved(layers, CLEAN.config),
        lambda layers: saved(layers, CLEAN.config, compressed=True),
        lambda layers: layout(layers, CLEAN.config),
    ],
    ids=["docker save", "docker save with the containerd store", "OCI layout"],
)
def test_every_form_of_an_image_is_read(packed: Any, tmp_path: Path) -> None:
    assert rules(packed([CLEAN.files]), tmp_path) == []
    assert rules(packed([CLEAN.files, DRIVER]), tmp_path) == ["driver"]


def test_layers_that_an_older_docker_saved_as_links_are_found(tmp_path: Path) -> None:
    manifest = [{"Config": "config.json", "Layers": ["a/layer.tar", "b/layer.tar"]}]
    packed = tar(
        {
            "a/layer.tar": layer(CLEAN.files),
            "b/layer.tar": (LINK + "../a/layer.tar").encode(),
            "config.json": json.dumps(CLEAN.config).encode(),
            "manifest.json": json.dumps(manifest).encode(),
        }
    )

    assert rules(packed, tmp_path) == []


@pytest.mark.parametrize(
    "cover",
    [
        {"usr/lib/.wh.libcuda.so.1": b""},
        {"usr/.wh.lib": b""},
        {"usr/lib/.wh..wh..opq": b"", "usr/lib/other": b"1"},
        {"usr/lib": LINK + "lib64"},
    ],
    ids=["the file", "its folder", "what its folder had", "a link in place of its folder"],
)
def test_what_a_later_layer_takes_away_is_gone(cover: Files, tmp_path: Path) -> None:
    assert rules(saved([CLEAN.files, DRIVER], CLEAN.config), tmp_path) == ["driver"]
    assert rules(saved([CLEAN.files, DRIVER, cover], CLEAN.config), tmp_path) == []


def test_a_package_that_a_later_layer_removes_is_gone(tmp_path: Path) -> None:
    installed: Files = {"var/lib/dpkg/status": "Package: libcuda1\nStatus: install ok installed\n"}

    assert rules(saved([CLEAN.files, installed], CLEAN.config), tmp_path) == ["driver-package"]
    assert rules(saved([CLEAN.files, installed, CLEAN.files], CLEAN.config), tmp_path) == []


@pytest.mark.parametrize("cover", [{"root/.ssh/.wh.id_rsa": b""}, {"root/.ssh/id_rsa": "gone"}, {"root/.wh..ssh": b""}])
def test_a_secret_that_a_later_layer_hides_is_found_unless_the_base_image_has_published_it(
    cover: Files, tmp_path: Path
) -> None:
    image = read(saved([CLEAN.files, KEY, cover], CLEAN.config), tmp_path)
    [found] = audit.audit(image)
    assert found.where == ("root/.ssh/id_rsa (a later layer hides it, and a lower one has it still)",)

    published = [digest(layer(KEY))]
    assert rules(saved([CLEAN.files, KEY, cover], CLEAN.config), tmp_path, base_layers=published) == []
    assert rules(saved([CLEAN.files, KEY], CLEAN.config), tmp_path, base_layers=published) == ["credentials"]
    # The same file again, from a layer of its own.
    again = [CLEAN.files, KEY, cover, {**KEY, "more": b"1"}, cover]
    assert rules(saved(again, CLEAN.config), tmp_path, base_layers=published) == ["credentials"]


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"", "cannot be read to its end"),
        (b"no image at all" * 100, "cannot be read to its end"),
        (saved([CLEAN.files], CLEAN.config)[:9000], "cannot be read to its end|it is cut"),
        (tar({"readme.txt": b"hello"}), "has no index.json: it is cut, or no image"),
        (tar({"blobs/sha256/1": b"\x28\xb5\x2f\xfd\0\0"}), "compressed with zstandard"),
        (tar({"manifest.json": b"[{}, {}]"}), "has 2 images: save one"),
        (tar({"manifest.json": b"[{"}), "manifest.json is not JSON"),
        (tar({"manifest.json": b"[1]"}), "describes no image"),
        (tar({"index.json": b"{}"}), "describes no image"),
        (saved([CLEAN.files], {**CLEAN.config, "config": {"Env": [1]}}), "describes no image"),
        (tar({"index.json": b'{"manifests": []}'}), "has 0 images"),
        (tar({"c": b"{}", "manifest.json": b'[{"Config": "c", "Layers": []}]'}), "has no Config"),
        (tar({"c": b'{"config": {}}', "manifest.json": b'[{"Config": "c", "Layers": ["l"]}]'}), "has no layer l"),
    ],
)
def test_what_is_no_whole_image_is_refused(packed: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(NotAuditable, match=said):
        read(packed, tmp_path)


def test_an_image_is_read_from_a_pipe_in_little_memory(tmp_path: Path) -> None:
    large = bytes(24 << 20)
    packed = saved([CLEAN.files, {"opt/weights.bin": large, **DRIVER}], CLEAN.config)

    tracemalloc.start()
    try:
        found = rules(packed, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == ["driver"]
    assert peak < 4 << 20


def test_a_tarball_on_standard_input_ends_with_a_status(tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    base.write_text(json.dumps([{"Config": {}, "RootFS": {"Layers": [digest(layer(KEY))]}}]))
    hidden: Files = {"root/.ssh/.wh.id_rsa": b""}
    for layers, status in (([CLEAN.files, KEY, hidden], 0), ([CLEAN.files, KEY, hidden, DRIVER], audit.FOUND)):
        done = subprocess.run(
            [sys.executable, "-m", "jobs", "audit", "-", "--base", str(base)],
            cwd=REPOSITORY,
            input=saved(layers, CLEAN.config),
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, done.stderr


# ---- Layers against a file system that is kept by hand --------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "a/c", "a/d", "a/d/e", "b/f"])
STEPS = st.tuples(st.sampled_from(["write", "remove", "empty"]), NAMES)


def done_by_hand(layers: Sequence[Sequence[tuple[str, str]]]) -> set[str]:
    there: set[str] = set()
    for steps in layers:
        for do, name in steps:
            if do != "write":
                # What is emptied is a folder, whatever was there.
                there = {path for path in there if not path.startswith(f"{name}/") and path != name}
        for do, name in steps:
            if do == "write":
                there = {path for path in there if not path.startswith(f"{name}/")} | {name}
    return there


def packed_by_hand(steps: Sequence[tuple[str, str]]) -> Files:
    files: dict[str, str | bytes] = {}
    for do, name in steps:
        folder, _, last = name.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        marks = {"write": name, "remove": f"{prefix}.wh.{last}", "empty": f"{name}/.wh..wh..opq"}
        files[marks[do]] = b"1" if do == "write" else b""
    return files


def possible(steps: Sequence[tuple[str, str]]) -> bool:
    """A layer has no file below a file, and does not remove what it writes."""
    written = {name for do, name in steps if do == "write"}
    others = {name for do, name in steps if do != "write"}
    return not any(one != other and one.startswith(f"{other}/") for one in written for other in written) and not any(
        name == one or name.startswith(f"{one}/") for name in written | others for one in written if name in others
    )


@settings(max_examples=60)
@given(st.lists(st.lists(STEPS, max_size=4).filter(possible), min_size=1, max_size=4))
def test_layers_make_the_file_system_that_they_describe(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[tuple[str, str]]]
) -> None:
    packed = saved([packed_by_hand(steps) for steps in layers], CLEAN.config)

    assert set(read(packed, tmp_path_factory.getbasetemp()).entries) == done_by_hand(layers)
