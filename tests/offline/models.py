"""Small models and the tarballs and requests that they go to the compiler with."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from offline.compiler.compile import compile_model
from offline.compiler.errors import CompileError

SHAPE = [1, 3, 8, 8]
LINUX = {"TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"}}
MXNET = Path(__file__).parent / "mxnet_model"


@cache
def onnx_model(
    *, opset: int = 11, ir_version: int = 7, shape: tuple[Any, ...] = tuple(SHAPE), operator: str = "Relu"
) -> bytes:
    """A small network with something to optimise: two constants whose sum is known before it runs."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Mul", ["image", "two"], ["doubled"]),
        helper.make_node(operator, ["doubled"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "small", [image], [logits], [one])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    return bytes(made.SerializeToString())


def mxnet_model() -> dict[str, bytes]:
    """What MXNet itself wrote; its README says how."""
    return {name: (MXNET / name).read_bytes() for name in ("tiny-symbol.json", "tiny-0000.params")}


def torchscript(*, version: bytes = b"3\n") -> bytes:
    """An archive that looks like TorchScript from outside."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"model/{name}", b"\x80\x02}.")
        archive.writestr("model/version", version)
    return written.getvalue()


GOOD: Mapping[str, dict[str, bytes]] = {
    "TENSORFLOW": {"frozen.pb": b"\x0a\x1f\x0a\x05input\x12\x0bPlaceholder"},
    "KERAS": {"model.h5": b"\x89HDF\r\n\x1a\n" + bytes(40) + b'model_config{"class_name": "Sequential"}'},
    "MXNET": mxnet_model(),
    "ONNX": {"model.onnx": onnx_model()},
    "PYTORCH": {"model.pth": torchscript()},
    "XGBOOST": {"xgb.model": b'{"learner": {"gradient_booster": {"name": "gbtree"}}}'},
    "TFLITE": {"model.tflite": b"\x1c\x00\x00\x00TFL3" + bytes(64)},
    "DARKNET": {"net.cfg": b"# small\n[net]\nwidth=8\n", "net.weights": bytes([0, 0, 0, 0, 2, 0, 0, 0]) + bytes(32)},
    "SKLEARN": {"model.joblib": b"\x80\x04N."},
}
"""The content of a tarball for each framework, as far as it is looked at."""

INPUTS: Mapping[str, str] = {
    "TENSORFLOW": '{"input": [1, 8, 8, 3]}',
    "KERAS": '{"input_1": [1, 3, 8, 8]}',
    "MXNET": '{"data": [1, 3, 32, 32]}',
    "ONNX": '{"image": [1, 3, 8, 8]}',
    "PYTORCH": '{"input0": [1, 3, 8, 8]}',
    "TFLITE": '{"input": [1, 8, 8, 3]}',
    "DARKNET": '{"data": [1, 3, 8, 8]}',
    "SKLEARN": '{"input": [1, 8]}',
}


def tarball(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar.gz of these files; a TarInfo stands for itself."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def request(framework: str = "ONNX", *, output: Mapping[str, Any] = LINUX, **config: Any) -> dict[str, Any]:
    """A CreateCompilationJob request as far as the compiler reads it; `config` is of InputConfig, None leaves out."""
    given = {"Framework": framework, "DataInputConfig": INPUTS.get(framework), **config}
    return {
        "InputConfig": {name: value for name, value in given.items() if value is not None},
        "OutputConfig": dict(output),
    }


def compiled(folder: Path, asked: Mapping[str, Any], body: bytes | None = None) -> tuple[bytes, dict[str, Any]]:
    """The compiled model and what compiler.json says of it."""
    source, target = folder / "source.tar.gz", folder / "compiled.tar.gz"
    source.write_bytes(body or tarball(GOOD[asked["InputConfig"]["Framework"]]))
    compile_model(source, asked, target)
    with tarfile.open(target) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert files.keys() == {"compiled.onnx", "compiler.json"}
    return files["compiled.onnx"], json.loads(files["compiler.json"])


def refusal(folder: Path, asked: Mapping[str, Any], body: bytes | None = None) -> str:
    """What the compiler says when it refuses; "" when it does not."""
    source, target = folder / "source.tar.gz", folder / "compiled.tar.gz"
    source.write_bytes(body or tarball(GOOD[asked["InputConfig"]["Framework"]]))
    try:
        compile_model(source, asked, target)
    except CompileError as error:
        assert sorted(folder.iterdir()) == [source], "a refused model leaves nothing behind"
        return str(error)
    return ""
