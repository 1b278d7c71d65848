"""The ZIP that a device downloads: the portable model, what the compiler made of it, and the sums of both."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from reefloop import archive, storage
from reefloop.model_card import ModelInvalid

_NEEDED: Final = ("model.onnx", "labels.json", "model.json", "golden/golden.json")


def build(path: Path, *, model_uri: str, compiled_uri: str, about: Mapping[str, str]) -> None:
    """Write the artifact of one target; the same model and compiler output give the same bytes.

    Args:
        path: the ZIP to write.
        model_uri: the model package (.tar.gz).
        compiled_uri: the compiler's output (.tar.gz), or "" when there is none.
        about: content of package.json.

    Raises:
        ModelInvalid: the model package lacks a file that a device needs.
        ArchiveInvalid, ObjectMissing: an input is unsafe, damaged or not there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = _unpack(model_uri, folder, wanted=_of_model)
        if missing := [name for name in _NEEDED if name not in found]:
            raise ModelInvalid(f"{model_uri} lacks {missing[0]}, which every device needs: train the model again")
        if compiled_uri:
            _unpack(compiled_uri, folder / "compiled", wanted=lambda _: True)
        (folder / "package.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
        (folder / "SHA256SUMS").write_text(archive.sha256sums(folder))
        archive.write_zip(folder, path)


def _unpack(source: str, folder: Path, *, wanted: Callable[[str], bool]) -> list[str]:
    bucket, key = storage.split_uri(source)
    with tempfile.TemporaryFile() as file:
        storage.download(bucket, key, file)
        return archive.extract(file, folder, source=source, wanted=wanted)


def _of_model(name: str) -> bool:
    return name in _NEEDED or name.startswith("golden/")
