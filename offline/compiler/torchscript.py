"""TorchScript to ONNX, through PyTorch's own exporter, in a process that ends with it: PyTorch takes 300 MB."""

import json
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from offline.compiler import graph
from offline.compiler.contents import cannot_load
from offline.compiler.errors import bad_input
from offline.compiler.inputs import Shapes

# The newest archive that each FrameworkVersion reads; PyTorch 1.8, the edge's newest and the default, stops at 5:
# kMaxSupportedFileFormatVersion of https://github.com/pytorch/pytorch/blob/v1.8.0/caffe2/serialize/inline_container.h
# and https://github.com/pytorch/pytorch/blob/v1.12.0/caffe2/serialize/versions.h
_ARCHIVES: Final[Mapping[str, int]] = MappingProxyType({"1.12": 10, "1.13": 10, "2.0": 10})
_DEFAULT_ARCHIVE: Final = 5


def translate(model: Path, inputs: Shapes, target: Path, *, version: str) -> Any:
    """The model as an ONNX graph, traced once more with inputs of these shapes, as Neo's loader does.

    Args:
        target: where the graph is written to on the way.
        version: the FrameworkVersion asked for, "" for Neo's own.

    Raises:
        CompileError: an archive that Neo's PyTorch cannot read, a program that does not take these inputs, or an
            operator without a counterpart in opset 11.
    """
    _check_version(model, version)
    shapes = {name: list(shape) for name, shape in sorted(inputs.items())}
    command = [sys.executable, "-m", "offline.compiler.torch_export", str(model), json.dumps(shapes), str(target)]
    process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if process.returncode:
        raise _explained(process.stderr.strip() or f"exit code {process.returncode}")
    return graph.load(target)


def _check_version(model: Path, wanted: str) -> None:
    newest = _ARCHIVES.get(".".join(wanted.split(".")[:2]), _DEFAULT_ARCHIVE)
    try:
        with zipfile.ZipFile(model) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/version"))
            with archive.open(name) as entry:
                version = int(entry.read(16))
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError) as error:
        raise cannot_load("PYTORCH", f"{model.name}: {error}") from None
    if version > newest:
        raise cannot_load(
            "PYTORCH",
            f"Attempted to read a PyTorch file with version {version}, but the maximum supported version for reading "
            f"is {newest}. Your PyTorch installation may be too old.",
        )


def _explained(said: str) -> Exception:
    last = said.splitlines()[-1]
    if found := re.search(r"the operator '(?:aten::)?([^']+)' to ONNX opset", last):
        return graph.not_implemented("PYTORCH", {found[1]})
    return bad_input(
        "TVM cannot convert the PyTorch model. Invalid model or input-shape mismatch. Make sure that inputs are "
        f"lexically ordered and of the correct dimensionality. {last}"
    )
