"""The ZIP that a device downloads: the portable model, what the compiler made of it, and the sums of both."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reefloop import archive
from reefloop.archive import ArchiveInvalid, Limits
from reefloop.compilation import tarballs
from reefloop.model_card import ModelInvalid
from reefloop.storage import ObjectMissing

_NEEDED: Final = ("model.onnx", "labels.json", "model.json", "golden/golden.json")


class CompiledInvalid(Exception):
    """What the compiler wrote cannot be given to any device."""


class NotPortable(Exception):
    """A model from elsewhere is no readable ONNX model, which is all that runs on a device as it is."""


def of_trained(path: Path, *, model_uri: str, compiled_uri: str, about: Mapping[str, str]) -> None:
    """Write the artifact of a model of this project; the same model and compiler output give the same bytes.

    Everything in it together has to stay within what Greengrass takes, whatever the compiler wrote.

    Args:
        path: the ZIP to write.
        model_uri: the model package (.tar.gz).
        compiled_uri: the compiler's output (.tar.gz), or "" when there is none.
        about: content of package.json.

    Raises:
        CompiledInvalid: the compiler's output is not there, damaged, unsafe, empty or too large.
        ModelInvalid: the model package lacks a file that a device needs.
        ArchiveInvalid, ObjectMissing: the model package is unsafe, damaged or not there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = tarballs.extract(model_uri, folder, wanted=_of_model)
        if missing := [name for name in _NEEDED if name not in found]:
            raise ModelInvalid(f"{model_uri} lacks {missing[0]}, which every device needs: train the model again")
        if compiled_uri:
            _add_compiled(compiled_uri, folder, beside=found)
        _pack(folder, path, about)


def of_own(path: Path, *, source_uri: str, compiled_uri: str, about: Mapping[str, str]) -> None:
    """Write the artifact of a model from elsewhere: what the compiler wrote, or without it the model as it is.

    Args:
        path: the ZIP to write.
        source_uri: what was compiled (.tar.gz).
        compiled_uri: the compiler's output (.tar.gz), or "" when there is none.
        about: content of package.json.

    Raises:
        CompiledInvalid: as of a trained model.
        NotPortable: there is no compiled model, and no ONNX model either, or its tarball is unsafe, damaged or not
            there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if compiled_uri:
            _add_compiled(compiled_uri, folder, beside={})
        else:
            try:
                found = tarballs.extract(source_uri, folder, wanted=lambda name: name.endswith(".onnx"))
            except (ArchiveInvalid, ObjectMissing) as error:
                raise NotPortable(str(error)) from None
            if len(found) != 1:
                raise NotPortable(f"{source_uri} holds no ONNX model, which is all that runs on a device as it is")
            (folder / next(iter(found))).rename(folder / "model.onnx")
        _pack(folder, path, about)


def _of_model(name: str) -> bool:
    return name in _NEEDED or name.startswith("golden/")


def _add_compiled(uri: str, folder: Path, *, beside: Mapping[str, int]) -> None:
    whole = Limits()
    left = Limits(
        unpacked_bytes=whole.unpacked_bytes - sum(beside.values()),
        members=whole.members - len(beside),
    )
    try:
        found = tarballs.extract(uri, folder / "compiled", limits=left)
    except (ArchiveInvalid, ObjectMissing) as error:
        raise CompiledInvalid(str(error)) from None
    if not any(found.values()):
        raise CompiledInvalid(f"{uri} holds nothing, though the compiler said that it was done")


def _pack(folder: Path, path: Path, about: Mapping[str, str]) -> None:
    (folder / "package.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    (folder / "SHA256SUMS").write_text(archive.sha256sums(folder), encoding="utf-8")
    archive.write_zip(folder, path)
