"""The offline account's compiler, asked as a compilation job asks it."""

import json
import platform
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from offline.compiler.compile import compile_model

_HERE: Final = "ARM64" if platform.machine() in ("aarch64", "arm64") else "X86_64"


def compiled(model: Path, shape: list[int], target: Path) -> Path:
    """Write the graph that the compiler makes of an ONNX file with the one input `image`, for this very machine."""
    request = {
        "InputConfig": {
            "S3Uri": "s3://bucket/model.tar.gz",
            "Framework": "ONNX",
            "DataInputConfig": json.dumps({"image": shape}),
        },
        "OutputConfig": {
            "S3OutputLocation": "s3://bucket/compiled",
            "TargetPlatform": {"Os": "LINUX", "Arch": _HERE},
        },
    }
    with tempfile.TemporaryDirectory() as place:
        source, artifact = Path(place) / "model.tar.gz", Path(place) / "compiled.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(model, arcname="model.onnx")
        compile_model(source, request, artifact)
        with tarfile.open(artifact) as archive:
            archive.extractall(place, filter="data")
        about = json.loads((Path(place) / "compiler.json").read_text())
        assert about["optimisation"] == "all", about
        return (Path(place) / "compiled.onnx").rename(target)
