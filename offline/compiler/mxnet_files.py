"""MXNet's two files, read without MXNet.

A symbol file is JSON: nodes in an order in which each comes after its inputs, "null" for what is given from outside. A
parameter file is a list of arrays and their names, in MXNet's own binary form; both as in
https://github.com/apache/mxnet/blob/1.9.1/src/ndarray/ndarray.cc (NDArray::Save, NDArray::Load) and
https://github.com/apache/mxnet/blob/1.9.1/3rdparty/tvm/nnvm/src/pass/saveload_json.cc.
"""

import ast
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.compiler.contents import cannot_load

Weights = dict[str, NDArray[Any]]
_MAGIC: Final = 0x112
_V2, _V3 = 0xF993FAC9, 0xF993FACA  # of MXNet 1.0 and of its numpy arrays; older files have no number here
_V1: Final = 0xF993FAC8
_TYPES: Final = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")
_EXPORT: Final = (
    "Please use HybridBlock.export() or gluoncv.utils.export_block() to export your model instead of "
    "Block.save_parameters()."
)
# Their second input is the label, which only training reads.
_LOSSES: Final = ("SoftmaxOutput", "LinearRegressionOutput", "LogisticRegressionOutput")


@dataclass(frozen=True)
class Node:
    """One operation, or with the operator "null" one value from outside. `inputs` are the names of other nodes'
    outputs: the first of a node is called like the node."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, str]

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute's value: every one is written as text, numbers and tuples as Python writes them."""
        text = self.attributes.get(attribute, "None")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            value = text  # a word: relu, NCHW
        return default if value is None else value


@dataclass(frozen=True)
class Symbol:
    """`nodes` in the order of the file; `heads` are the names of the outputs."""

    nodes: tuple[Node, ...]
    heads: tuple[str, ...]


def output(node: str, number: int) -> str:
    return f"{node}_{number}" if number else node


def read_symbol(path: Path) -> Symbol:
    """
    Raises:
        CompileError: the file is no graph.
    """
    try:
        graph = json.loads(path.read_bytes())
        names = [str(node["name"]) for node in graph["nodes"]]
        nodes = tuple(_node(node, names) for node in graph["nodes"])
        heads = tuple(output(names[head[0]], head[1]) for head in graph["heads"])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise cannot_load("MXNET", f"{path.name}: {type(error).__name__}: {error}") from None
    return Symbol(nodes, heads)


def _node(node: Mapping[str, Any], names: list[str]) -> Node:
    operator = str(node["op"])
    given = node["inputs"][:1] if operator in _LOSSES else node["inputs"]
    attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
    return Node(
        name=str(node["name"]),
        operator=operator,
        inputs=tuple(output(names[one[0]], one[1]) for one in given),
        attributes={str(name): str(value) for name, value in attributes.items()},
    )


def read_weights(path: Path) -> Weights:
    """The arrays by name; what has a fraction is float32 whatever it was.

    Raises:
        CompileError: not MXNet's form, arrays that are sparse, or names without "arg:" or "aux:".
    """
    try:
        arrays = _arrays(_Reader(path.read_bytes()))
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise cannot_load("MXNET", f"{path.name}: Invalid NDArray file format ({error})") from None
    if not all(name.startswith(("arg:", "aux:")) for name in arrays):
        raise cannot_load("MXNET", _EXPORT)
    return {name[4:]: array for name, array in arrays.items()}


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def numbers(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + form, self._content, self._at)
        self._at += struct.calcsize("<" + form)
        return values

    def number(self, form: str) -> int:
        return self.numbers(form)[0]

    def take(self, size: int) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) != size:
            raise ValueError(f"{size} bytes are announced and {len(taken)} are left")
        self._at += size
        return taken


def _arrays(reader: _Reader) -> Weights:
    magic, reserved, count = reader.numbers("QQQ")
    if (magic, reserved) != (_MAGIC, 0):
        raise ValueError("it does not begin with MXNet's number")
    arrays = [_array(reader) for _ in range(count)]
    names = [reader.take(reader.number("Q")).decode() for _ in range(reader.number("Q"))]
    if len(names) != len(arrays):
        raise ValueError(f"{len(arrays)} arrays have {len(names)} names")
    return dict(zip(names, arrays, strict=True))


def _array(reader: _Reader) -> NDArray[Any]:
    version = reader.number("I")
    if version in (_V2, _V3) and (storage := reader.number("i")) != 0:
        raise ValueError(f"arrays of storage type {storage} are sparse")
    known = version in (_V1, _V2, _V3)
    dimensions = reader.number("I") if known else version
    if dimensions > 32:
        raise ValueError(f"an array has {dimensions} dimensions")
    shape = reader.numbers(f"{dimensions}{'q' if known else 'I'}")
    if not shape and version != _V3:
        return np.zeros(0, np.float32)  # an array that was never filled has nothing more
    reader.numbers("ii")  # the device that it was on
    type_ = np.dtype(_TYPES[reader.number("i")])
    size = 1
    for one in shape:
        size *= one
    if size < 0:
        raise ValueError(f"an array has the shape {shape}")
    array = np.frombuffer(reader.take(size * type_.itemsize), type_).reshape(shape)
    return array.astype(np.float32) if type_.kind == "f" else array
