"""MXNet models without MXNet: what its own arithmetic gave, written down once by MXNet 1.9.1, is found again."""

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.compiler.errors import CompileError
from offline.compiler.mxnet import translate
from offline.compiler.mxnet_files import read_symbol, read_weights
from offline.compiler.mxnet_operators import OPERATORS
from tests.offline.models import GOOD, MXNET, compiled, refusal, request, tarball

with np.load(MXNET / "operators.npz") as _written:
    WRITTEN = dict(_written)
CASES = sorted({name.partition("/")[0] for name in WRITTEN})
PHONE = {"TargetPlatform": {"Os": "ANDROID", "Arch": "ARM64"}, "CompilerOptions": '{"ANDROID_PLATFORM": 29}'}


def array(value: Any, *, version: int = 0xF993FAC9, storage: int = 0, type_: int = 0) -> bytes:
    """One array as MXNet writes it: with the number of its version, which the oldest have not."""
    value = np.asarray(value)
    begin = b"" if version == 0 else struct.pack("<I", version)
    begin += struct.pack("<i", storage) if version in (0xF993FAC9, 0xF993FACA) else b""
    shape = struct.pack(f"<I{value.ndim}{'I' if version == 0 else 'q'}", value.ndim, *value.shape)
    return begin + shape + struct.pack("<iii", 1, 0, type_) + value.tobytes()


def parameters(**arrays: bytes) -> bytes:
    """A parameter file; names have no colon here, so arg_w stands for arg:w."""
    names = [name.replace("_", ":", 1).encode() for name in arrays]
    listed = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    return (
        struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays.values()) + struct.pack("<Q", len(names)) + listed
    )


def node(operator: str, name: str, *inputs: int, **attributes: str) -> dict[str, Any]:
    return {"op": operator, "name": name, "attrs": attributes, "inputs": [[one, 0, 0] for one in inputs]}


def symbol(*nodes: dict[str, Any]) -> bytes:
    """A symbol file whose output is that of its last node."""
    outside = [number for number, one in enumerate(nodes) if one["op"] == "null"]
    graph = {"nodes": list(nodes), "arg_nodes": outside, "heads": [[len(nodes) - 1, 0, 0]]}
    return json.dumps(graph).encode()


def translated(folder: Path, graph: bytes, weights: bytes, **inputs: tuple[int, ...]) -> Any:
    (folder / "model-symbol.json").write_bytes(graph)
    (folder / "model-0000.params").write_bytes(weights)
    return translate(folder / "model-symbol.json", folder / "model-0000.params", inputs)


def run(model: Any, **inputs: Any) -> Any:
    (answer,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)
    return answer


def said(folder: Path, *nodes: dict[str, Any], **inputs: tuple[int, ...]) -> str:
    """Why such a graph without weights is refused."""
    with pytest.raises(CompileError) as refused:
        translated(folder, symbol(*nodes), parameters(), **(inputs or {"data": (1, 2, 4, 4)}))
    return str(refused.value)


DATA = node("null", "data")


def test_a_network_written_by_mxnet_gives_mxnet_s_probabilities_after_compilation(tmp_path: Path) -> None:
    model, about = compiled(tmp_path, request("MXNET", output=PHONE))

    with np.load(MXNET / "expected.npz") as expected:
        (answer,) = onnxruntime.InferenceSession(model).run(None, {"data": expected["data"]})
        assert np.abs(answer - expected["probabilities"]).max() < 1e-6
    assert (about["framework"], about["target"]) == ("MXNET", "ANDROID_ARM64")


@pytest.mark.parametrize("case", CASES)
def test_an_operator_computes_what_mxnet_computes(tmp_path: Path, case: str) -> None:
    weights = {name.rpartition("/")[2]: value for name, value in WRITTEN.items() if name.startswith(f"{case}/weights/")}
    data = WRITTEN[f"{case}/data"]

    model = translated(
        tmp_path,
        WRITTEN[f"{case}/symbol"].item().encode(),
        parameters(**{f"arg_{name}": array(value) for name, value in weights.items()}),
        data=data.shape,
    )

    assert np.allclose(run(model, data=data), WRITTEN[f"{case}/expected"], atol=1e-5)


def test_every_operator_is_tried_against_mxnet() -> None:
    tried = {one["op"] for case in CASES for one in json.loads(WRITTEN[f"{case}/symbol"].item())["nodes"]}

    # By what they do, which several names have in common.
    assert {OPERATORS[name] for name in tried & OPERATORS.keys()} == set(OPERATORS.values())


# ---- Refusals --------------------------------------------------------------------------------------------------------


def test_operators_that_are_not_here_are_all_named(tmp_path: Path) -> None:
    assert said(tmp_path, DATA, node("RNN", "rnn", 0), node("_sample_multinomial", "s", 1)) == (
        "ClientError: InputConfiguration: TVM cannot convert MXNet model. Please make sure the framework you selected "
        "is correct. The following operators are not implemented: {'RNN', '_sample_multinomial'}"
    )


@pytest.mark.parametrize(
    ("operator", "attributes", "what"),
    [
        ("Pooling", {"pool_type": "sum", "kernel": "(2, 2)"}, "pool_type=sum"),
        ("Pooling", {"pool_type": "avg", "kernel": "(3, 3)", "pooling_convention": "full"}, "pooling_convention=full"),
        ("Pooling", {"kernel": "(3, 3)", "pooling_convention": "same"}, "pooling_convention=same"),
        ("Pooling", {"kernel": "(2, 2)", "layout": "NHWC"}, "layout=NHWC"),
        ("Activation", {"act_type": "mish"}, "act_type=mish"),
        ("LeakyReLU", {"act_type": "gelu"}, "act_type=gelu"),
        ("softmax", {"axis": "1"}, "axis=1"),
        ("softmax", {"temperature": "2.0"}, "temperature=2.0"),
        ("SoftmaxOutput", {"multi_output": "True"}, "multi_output=True"),
        ("SoftmaxActivation", {"mode": "channel"}, "mode=channel"),
        ("split", {"num_outputs": "2", "squeeze_axis": "True"}, "squeeze_axis=True"),
        ("reshape", {"shape": "(-2, 2)"}, "shape=(-2, 2)"),
        ("reshape", {"shape": "(0, -1)", "reverse": "True"}, "reverse=True"),
        ("pad", {"mode": "edge", "pad_width": "(0, 0)"}, "mode=edge"),
        ("mean", {"axis": "1", "exclude": "True"}, "exclude=True"),
    ],
)
def test_an_attribute_that_changes_the_answer_and_is_not_here_is_refused(
    tmp_path: Path, operator: str, attributes: dict[str, str], what: str
) -> None:
    assert said(tmp_path, DATA, node(operator, "it", 0, **attributes)) == (
        "ClientError: InputConfiguration: TVM can't convert the MXNet model. OperatorAttributeNotImplemented: "
        f"{what} is not supported in {operator}"
    )


def test_normalisation_over_another_axis_is_refused(tmp_path: Path) -> None:
    outside = [node("null", name) for name in ("data", "gamma", "beta", "mean", "variance")]

    assert "axis=3 is not supported in BatchNorm" in said(
        tmp_path,
        *outside,
        node("BatchNorm", "norm", 0, 1, 2, 3, 4, axis="3"),
        **{one["name"]: (4,) for one in outside},
    )


def test_an_input_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    said_ = refusal(tmp_path, request("MXNET", DataInputConfig='{"data": [1, 3, 32, 32], "image": [1]}'))

    assert "DataInputConfig has the input 'image', and the MXNet model has none of that name" in said_


def test_an_input_that_is_not_described_is_refused(tmp_path: Path) -> None:
    relu = node("elemwise_add", "sum", 0, 1)

    assert "Model contains input layer (other) not specified in data_shape." in said(
        tmp_path, DATA, node("null", "other"), relu
    )


def test_a_model_whose_inputs_are_not_told_is_refused(tmp_path: Path) -> None:
    assert "We are unable to extract DataInputConfig from the model" in refusal(
        tmp_path, request("MXNET", DataInputConfig=None)
    )


def test_a_shape_that_does_not_fit_the_weights_is_refused(tmp_path: Path) -> None:
    refused = refusal(tmp_path, request("MXNET", DataInputConfig='{"data": [1, 4, 32, 32]}'))

    assert refused.startswith("ClientError: InputConfiguration: TVM can't convert the MXNet model. ")
    assert "\n" not in refused


def test_a_label_that_only_training_reads_may_be_described_or_not(tmp_path: Path) -> None:
    graph = symbol(DATA, node("null", "softmax_label"), node("SoftmaxOutput", "softmax", 0, 1))
    row = np.array([[1.0, 2.0]], np.float32)

    without = translated(tmp_path, graph, parameters(), data=(1, 2))
    with_it = translated(tmp_path, graph, parameters(), data=(1, 2), softmax_label=(1,))

    assert np.array_equal(run(without, data=row), run(with_it, data=row))


def test_parameters_that_a_block_saved_are_refused_with_what_to_do(tmp_path: Path) -> None:
    weights = parameters(w=array(np.zeros(1, np.float32)))

    refused = refusal(tmp_path, request("MXNET"), tarball({**GOOD["MXNET"], "tiny-0000.params": weights}))

    assert "Please use HybridBlock.export()" in refused


# ---- Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 0xF993FAC8, 0xF993FAC9, 0xF993FACA], ids=["oldest", "V1", "V2", "V3"])
@pytest.mark.parametrize(("type_", "dtype"), [(0, "f4"), (1, "f8"), (2, "f2"), (4, "i4"), (6, "i8")])
def test_arrays_of_every_age_and_type_are_read(tmp_path: Path, version: int, type_: int, dtype: str) -> None:
    value = np.arange(6, dtype=dtype).reshape(2, 3)
    (path := tmp_path / "it.params").write_bytes(parameters(aux_w=array(value, version=version, type_=type_)))

    read = read_weights(path)["w"]

    assert read.dtype == (np.float32 if dtype[0] == "f" else dtype)
    assert np.array_equal(read, value)


def test_an_array_that_was_never_filled_is_empty(tmp_path: Path) -> None:
    unfilled = struct.pack("<IiI", 0xF993FAC9, 0, 0)
    (path := tmp_path / "it.params").write_bytes(parameters(arg_w=unfilled, arg_v=array(np.ones(2, "f4"))))

    assert {name: value.shape for name, value in read_weights(path).items()} == {"w": (0,), "v": (2,)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (parameters(arg_w=array([1.0], storage=1)), "sparse"),
        (parameters(arg_w=array([1.0]))[:-30], "bytes"),
        (parameters(arg_w=array(np.zeros(1, "f4"), type_=9)), "tuple index out of range"),
        (struct.pack("<QQQI", 0x112, 0, 1, 0xFFFFFF), "dimensions"),
        (struct.pack("<QQQQ", 0x112, 0, 0, 1) + struct.pack("<Q", 1) + b"w", "0 arrays have 1 names"),
        (parameters(arg_w=struct.pack("<IiIqqiii", 0xF993FAC9, 0, 2, 3, -1, 1, 0, 0)), "the shape (3, -1)"),
        (struct.pack("<QQQ", 0x112, 1, 0), "it does not begin with MXNet's number"),
        (struct.pack("<QQQ", 0x112, 0, 1 << 60), "buffer"),
    ],
)
def test_a_parameter_file_that_is_broken_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (path := tmp_path / "it.params").write_bytes(content)

    with pytest.raises(CompileError, match=r"Framework cannot load MXNet model\..*Invalid NDArray file") as refused:
        read_weights(path)
    assert reason in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.params"
    path.write_bytes(struct.pack("<QQ", 0x112, 0) + content)

    with contextlib.suppress(CompileError):
        assert all(isinstance(name, str) for name in read_weights(path))


@pytest.mark.parametrize(
    "graph",
    [
        b"{}",
        b'{"nodes": [{}], "heads": []}',
        b'{"nodes": [{"op": "relu", "name": "it", "inputs": [[7, 0]]}], "heads": []}',
        b'{"nodes": [], "heads": [[0, 0, 0]]}',
        b'{"nodes": 3, "heads": []}',
    ],
)
def test_a_symbol_file_that_is_broken_is_refused(tmp_path: Path, graph: bytes) -> None:
    (path := tmp_path / "it-symbol.json").write_bytes(graph)

    with pytest.raises(CompileError, match="Framework cannot load MXNet model"):
        read_symbol(path)


@pytest.mark.parametrize("word", ["attrs", "attr", "param"])
def test_attributes_are_read_under_each_of_the_names_that_they_had(tmp_path: Path, word: str) -> None:
    one = node("_mul_scalar", "it", 0)
    one[word] = {"scalar": "3.5"}
    model = translated(tmp_path, symbol(DATA, one), parameters(), data=(1,))

    assert run(model, data=np.array([2], np.float32)) == [7]
