"""The files that each framework's model is made of, and whether each is what its name says.

https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html and the loaders in
https://github.com/neo-ai/neo-loader, whose sentences these are.
"""

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final


def _not_looked_at(_: Path) -> str:
    """For a file that is read whole a moment later."""
    return ""


def _is_torchscript(model: Path) -> str:
    try:
        with zipfile.ZipFile(model) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError):
        return "it is not a TorchScript archive: save what torch.jit.trace gives"
    if not {"data.pkl", "constants.pkl", "version"} <= names:
        return "it holds tensors and no program: save what torch.jit.trace gives, not a state_dict"
    return ""


def _is_keras(model: Path) -> str:
    # https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html; the attribute is what load_model rebuilds the layers from.
    content = model.read_bytes()
    if not content.startswith(b"\x89HDF\r\n\x1a\n"):
        return "it is not an HDF5 file"
    return "" if b"model_config" in content else "No model found in config file: it holds weights alone"


def _is_tflite(model: Path) -> str:
    with model.open("rb") as file:
        return "" if file.read(8)[4:] == b"TFL3" else "it has not TFLite's file identifier TFL3"


def _is_symbol(model: Path) -> str:
    try:
        graph = json.loads(model.read_bytes())
    except (ValueError, RecursionError):
        return "it is not JSON"
    known = isinstance(graph, dict) and {"nodes", "arg_nodes", "heads"} <= graph.keys()
    return "" if known else "it has no nodes, arg_nodes and heads"


def _is_parameters(model: Path) -> str:
    # kMXAPINDArrayListMagic of https://github.com/apache/mxnet/blob/1.9.1/src/ndarray/ndarray.cc
    with model.open("rb") as file:
        return "" if file.read(8) == struct.pack("<Q", 0x112) else "Invalid NDArray file format"


def _is_graph(model: Path) -> str:
    """A GraphDef begins with its first node, a SavedModel with its schema version: in bytes, or as text."""
    with model.open("rb") as file:
        begin = file.read(4096)
    if model.suffix == ".pbtxt":
        known = b"node" in begin or b"meta_graphs" in begin or b"saved_model_schema_version" in begin
    else:
        known = begin[:1] in (b"\x0a", b"\x08")
    return "" if known else "it is neither a GraphDef nor a SavedModel"


def _is_network(model: Path) -> str:
    lines = (line.strip() for line in model.read_text(errors="replace").splitlines())
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    return "" if first in ("[net]", "[network]") else "its first section must be [net] or [network]"


def _is_weights(model: Path) -> str:
    # https://github.com/pjreddie/darknet/blob/master/src/parser.c: three numbers of the version, then images seen
    with model.open("rb") as file:
        begin = file.read(12)
    size = model.stat().st_size
    known = len(begin) == 12 and size > 20 and size % 4 == 0 and max(struct.unpack("<3I", begin)) < 100
    return "" if known else "it does not begin with the version of Darknet's weights"


def _is_booster(model: Path) -> str:
    """JSON or UBJSON of a learner, XGBoost's own binary form, which names its booster, or a pickle of one of these."""
    with model.open("rb") as file:
        begin = file.read(1 << 16)
    words = (b"learner", b"gbtree", b"gblinear", b"dart", b"xgboost.core")
    return "" if any(word in begin for word in words) else "it is not an XGBoost model"


def _is_joblib(model: Path) -> str:
    with model.open("rb") as file:
        return "" if file.read(1) in (b"\x80", b"\x78", b"\x1f", b"B", b"\xfd") else "it is not a joblib file"


@dataclass(frozen=True)
class Part:
    """One file that has to be there once: how its name ends ("" for any), Neo's sentences where there is none and
    where there are several ({files} are all of them), and what is wrong with its content ("" for nothing)."""

    endings: tuple[str, ...]
    none: str
    several: str
    fault: Callable[[Path], str]


SELECT: Final = "Please make sure the framework you select is correct."
PARTS: Final[Mapping[str, tuple[Part, ...]]] = MappingProxyType(
    {
        "TENSORFLOW": (
            Part(
                (".pb", ".pbtxt"),
                f"No valid TensorFlow model found in input files. {SELECT}",
                "Exactly one .pb or .pbtxt file is allowed for TensorFlow models.",
                _is_graph,
            ),
        ),
        "KERAS": (
            Part(
                (".h5",),
                "No h5 file provided in {files}.",
                "Multiple h5 files provided, {files}, when only one is allowed.",
                _is_keras,
            ),
        ),
        "MXNET": (
            Part(
                (".json",),
                f"No symbol file found for MXNet model. {SELECT}",
                f"Only one symbol file is allowed for MXNet model. {SELECT}",
                _is_symbol,
            ),
            Part(
                (".params",),
                f"No parameter file found for MXNet model. {SELECT}",
                f"Only one parameter file is allowed for MXNet model. {SELECT}",
                _is_parameters,
            ),
        ),
        "ONNX": (
            Part(
                (".onnx",),
                f"No .onnx file found for ONNX model. {SELECT}",
                "Exactly one .onnx file is allowed for ONNX models.",
                _not_looked_at,
            ),
        ),
        "PYTORCH": (
            Part(
                (".pth", ".pt"),
                f"No pth file found for PyTorch model. {SELECT}",
                "Exactly one .pth or .pt file is allowed for PyTorch models.",
                _is_torchscript,
            ),
        ),
        "XGBOOST": (
            Part(
                ("",),
                "No model file found.",
                f"Invalid XGBoost model: only one XGBoost model file is allowed. {SELECT}",
                _is_booster,
            ),
        ),
        "TFLITE": (
            Part(
                (".tflite",),
                "No valid TFLite model found in input file. Please make sure the framework you selected is correct.",
                "Exactly one .tflite file is allowed for TFLite models.",
                _is_tflite,
            ),
        ),
        "DARKNET": (
            Part(
                (".cfg",),
                f"No .cfg file found for DarkNet model. {SELECT}",
                "Exactly one .cfg file is allowed for DarkNet models.",
                _is_network,
            ),
            Part(
                (".weights",),
                f"No .weights file found for DarkNet model. {SELECT}",
                "Exactly one .weights file is allowed for DarkNet models.",
                _is_weights,
            ),
        ),
        "SKLEARN": (
            Part(
                (".joblib",),
                f"No .joblib file found for Scikit-Learn model. {SELECT}",
                "Exactly one .joblib file is allowed for Scikit-Learn models.",
                _is_joblib,
            ),
        ),
    }
)
