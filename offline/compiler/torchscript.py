"""TorchScript to ONNX, through PyTorch's own exporter, in a process that ends with it: PyTorch takes 300 MB."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from offline.compiler import graph
from offline.compiler.contents import cannot_load
from offline.compiler.errors import bad_input
from offline.compiler.request import Request

# The newest archive that each FrameworkVersion reads; PyTorch 1.8, the edge's newest and the default, stops at 5:
# kMaxSupportedFileFormatVersion of https://github.com/pytorch/pytorch/blob/v1.8.0/caffe2/serialize/inline_container.h
# and https://github.com/pytorch/pytorch/blob/v1.12.0/caffe2/serialize/versions.h
_ARCHIVES: Final[Mapping[str, int]] = MappingProxyType({"1.12": 10, "1.13": 10, "2.0": 10})
_DEFAULT_ARCHIVE: Final = 5


def translate(model: Path, wanted: Request, target: Path) -> Any:
    """The model as an ONNX graph, traced once more with inputs of the shapes wanted, as Neo's loader does.

    Raises:
        CompileError: an archive that Neo's PyTorch cannot read, a program that does not take these inputs, or an
            operator without a counterpart in opset 11.
    """
    with zipfile.ZipFile(model) as archive:
        version = int(archive.read(next(name for name in archive.namelist() if name.endswith("/version"))))
    newest = _ARCHIVES.get(".".join(wanted.version.split(".")[:2]), _DEFAULT_ARCHIVE)
    if version > newest:
        raise cannot_load(
            "PYTORCH",
            f"Attempted to read a PyTorch file with version {version}, but the maximum supported version for reading "
            f"is {newest}. Your PyTorch installation may be too old.",
        )
    shapes = {name: list(shape) for name, shape in sorted((wanted.inputs or {}).items())}
    command = [sys.executable, "-m", "offline.compiler.torch_export", str(model), json.dumps(shapes), str(target)]
    process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if process.returncode:
        raise _explained(process.stderr.strip() or f"exit code {process.returncode}")
    return graph.load(target)


def _explained(said: str) -> Exception:
    last = said.splitlines()[-1]
    if found := re.search(r"the operator '(?:aten::)?([^']+)' to ONNX opset", last):
        return graph.not_implemented("PYTORCH", {found[1]})
    return bad_input(
        "TVM cannot convert the PyTorch model. Invalid model or input-shape mismatch. Make sure that inputs are "
        f"lexically ordered and of the correct dimensionality. {last}"
    )
