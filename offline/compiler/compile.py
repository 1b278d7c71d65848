"""One compilation: the request checked, the tarball checked, the model translated, optimised and packed."""

import json
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import onnxruntime

from offline.compiler import graph, mxnet, torchscript
from offline.compiler.contents import find
from offline.compiler.errors import not_compiled
from offline.compiler.request import Request, read
from offline.compiler.tarball import pack, unpack

_HOST: Final = {"x86_64": "X86_64", "AMD64": "X86_64", "aarch64": "ARM64", "arm64": "ARM64"}.get(platform.machine(), "")


def compile_model(source: Path, request: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """Compile the tarball `source` as a CreateCompilationJob request says and write the tarball `target`.

    Returns:
        What DescribeCompilationJob then tells beyond the artifact.

    Raises:
        CompileError: Neo would refuse it, or the framework is one that only Neo translates.
    """
    wanted = read(request)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        model = folder / "model"
        files = find(wanted, model, unpack(source, model))
        if (translate := _TRANSLATORS.get(wanted.framework)) is None:
            raise not_compiled(
                wanted.target,
                f"the tarball is right, but this offline account's compiler translates {', '.join(_TRANSLATORS)} "
                f"models and not {wanted.framework}; Neo translates it",
            )
        proto, derived = translate(wanted, files, folder)
        exact = wanted.machine.architecture == _HOST and not wanted.machine.accelerator
        compiled = graph.optimise(proto, folder / "compiled.onnx", everything=exact)
    pack({"compiled.onnx": compiled, "compiler.json": _about(wanted, exact=exact)}, target)
    return derived


def _about(wanted: Request, *, exact: bool) -> bytes:
    """Never a word that could be taken for Neo's: who reads it must know what the figures are of."""
    made_for = f"processors like this one ({_HOST})" if exact else "any processor: the portable model, optimised"
    about = {
        "compiler": "ONNX Runtime graph optimiser",
        "version": onnxruntime.__version__,
        "optimisation": "all" if exact else "extended",
        "compiled_for": made_for,
        "target": wanted.target,
        "framework": wanted.framework,
        "compiler_options": wanted.options,
    }
    return json.dumps(about, indent=2, sort_keys=True).encode()


Translated = tuple[Any, dict[str, Any]]


def _from_onnx(wanted: Request, files: Sequence[Path], _: Path) -> Translated:
    proto = graph.load(files[0])
    if wanted.inputs is not None:
        graph.fix_inputs(proto, wanted.inputs)
        return proto, {}
    inputs = json.dumps({name: list(shape) for name, shape in graph.derived_inputs(proto).items()})
    return proto, {"DerivedInformation": {"DerivedDataInputConfig": inputs}}


def _from_mxnet(wanted: Request, files: Sequence[Path], _: Path) -> Translated:
    if wanted.inputs is None:
        raise graph.underived("the symbol file, which has no shapes")
    symbol, parameters = files
    return mxnet.translate(symbol, parameters, wanted.inputs), {}


def _from_pytorch(wanted: Request, files: Sequence[Path], folder: Path) -> Translated:
    if wanted.inputs is None:
        raise graph.underived("the traced program, which says nothing of its inputs' shapes")
    return torchscript.translate(files[0], wanted.inputs, folder / "translated.onnx", version=wanted.version), {}


_TRANSLATORS: Final[Mapping[str, Callable[[Request, Sequence[Path], Path], Translated]]] = MappingProxyType(
    {"ONNX": _from_onnx, "PYTORCH": _from_pytorch, "MXNET": _from_mxnet}
)
