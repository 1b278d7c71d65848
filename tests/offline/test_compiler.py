"""The offline compiler: what it writes, and that it never passes for Neo."""

import json
import platform
import tarfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from offline.compiler.compile import compile_model
from tests.offline.models import LINUX, SHAPE, compiled, onnx_model, refusal, request, tarball

ANDROID = {"TargetPlatform": {"Os": "ANDROID", "Arch": "ARM64"}}
HOST = {"x86_64": "X86_64", "aarch64": "ARM64"}.get(platform.machine(), "X86_64")


def answers(model: bytes, image: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model).run(None, {"image": image})[0]


@pytest.mark.parametrize("output", [LINUX, ANDROID], ids=["host", "phone"])
def test_a_compiled_model_computes_the_same_with_less_to_do(tmp_path: Path, output: dict[str, object]) -> None:
    model, _ = compiled(tmp_path, request(output=output))

    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) - 90
    assert np.array_equal(answers(model, image), answers(onnx_model(), image))
    assert len(onnx.load_from_string(model).graph.node) < 3


def test_the_artifact_says_what_compiled_it_and_for_what(tmp_path: Path) -> None:
    _, about = compiled(tmp_path, request(output={"TargetDevice": "rasp3b", "CompilerOptions": '{"mattr": ["+neon"]}'}))

    assert about["compiler"] == "ONNX Runtime graph optimiser"
    assert about["version"] == onnxruntime.__version__
    assert (about["target"], about["framework"]) == ("rasp3b", "ONNX")
    assert about["compiler_options"] == {"mattr": ["+neon"]}
    assert "neo" not in json.dumps(about).lower().replace("+neon", "")


@pytest.mark.parametrize(
    ("output", "optimisation"),
    [
        ({"TargetPlatform": {"Os": "LINUX", "Arch": HOST}}, "all"),
        ({"TargetPlatform": {"Os": "LINUX", "Arch": "ARM_EABIHF"}}, "extended"),
        ({"TargetDevice": "ml_g4dn"}, "extended"),
        ({"TargetDevice": "qcs605"}, "extended"),
    ],
)
def test_only_what_runs_on_this_machine_s_processor_is_compiled_for_it(
    tmp_path: Path, output: dict[str, object], optimisation: str
) -> None:
    _, about = compiled(tmp_path, request(output=output))

    assert about["optimisation"] == optimisation
    portable = about["compiled_for"] == "any processor: the portable model, optimised"
    assert portable == (optimisation == "extended")


@pytest.mark.parametrize("output", [{"TargetPlatform": {"Os": "LINUX", "Arch": HOST}}, ANDROID], ids=["host", "phone"])
def test_the_same_model_gives_the_same_bytes(tmp_path: Path, output: dict[str, object]) -> None:
    def artifact(name: str) -> bytes:
        (folder := tmp_path / name).mkdir()
        compiled(folder, request("MXNET", output=output))
        return (folder / "compiled.tar.gz").read_bytes()

    assert artifact("first") == artifact("second")


def test_a_graph_with_a_choice_in_it_is_compiled(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, SHAPE)
    branches = {
        name: helper.make_graph(
            [helper.make_node(operator, ["doubled"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)],
        )
        for name, operator in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    nodes = [
        helper.make_node("Add", ["image", "image"], ["doubled"]),
        helper.make_node("ReduceMax", ["image"], ["highest"], keepdims=0),
        helper.make_node("Greater", ["highest", "nothing"], ["bright"]),
        helper.make_node("If", ["bright"], ["logits"], **branches),
    ]
    nothing = helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0])
    graph = helper.make_graph(nodes, "choice", [image], [logits], [nothing])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)

    model, _ = compiled(tmp_path, request(), tarball({"model.onnx": made.SerializeToString()}))

    for one in (-1, 1):
        given = np.full(SHAPE, one, np.float32)
        assert np.array_equal(answers(model, given), np.full(SHAPE, 2, np.float32))


def test_an_open_size_becomes_the_one_asked_for(tmp_path: Path) -> None:
    model, _ = compiled(tmp_path, request(), tarball({"model.onnx": onnx_model(shape=("batch", 3, 8, None))}))

    assert onnxruntime.InferenceSession(model).get_inputs()[0].shape == SHAPE


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (b"no model", "Framework cannot load ONNX model. Please make sure the framework you select is correct."),
        (onnx_model(opset=13, ir_version=7), "has opset 13 and IR version 7; ONNX 1.7 reads opset 12"),
        (onnx_model(opset=12, ir_version=8), "has opset 12 and IR version 8; ONNX 1.7 reads opset 12"),
        (onnx_model(opset=17, ir_version=8), "has opset 17 and IR version 8; ONNX 1.7 reads opset 12 and IR version 7"),
        (onnx_model(operator="Mish"), "TVM cannot convert ONNX model. Please make sure the framework you selected"),
        (onnx_model(operator="Mish"), "The following operators are not implemented: {'Mish'}"),
        (onnx_model(operator="Concat"), "TVM cannot convert ONNX model."),
    ],
)
def test_a_graph_that_neo_cannot_read_is_refused(tmp_path: Path, model: bytes, reason: str) -> None:
    said = refusal(tmp_path, request(), tarball({"model.onnx": model}))

    assert said.startswith("ClientError: InputConfiguration: ")
    assert reason in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ('{"image": [1, 3, 8, 16]}', "For example, (1,3,8,8); given is (1,3,8,16)"),
        ('{"image": [1, 3, 64]}', "Input image has wrong shape in Input Shape dictionary."),
        ('{"pixels": [1, 3, 8, 8]}', "has the inputs ['pixels'], the model has ['image']"),
    ],
)
def test_inputs_that_the_graph_has_not_are_refused(tmp_path: Path, inputs: str, reason: str) -> None:
    assert reason in refusal(tmp_path, request(DataInputConfig=inputs))


def test_a_graph_that_knows_its_inputs_needs_no_description_of_them(tmp_path: Path) -> None:
    source = tmp_path / "source.tar.gz"
    source.write_bytes(tarball({"model.onnx": onnx_model()}))

    told = compile_model(source, request(DataInputConfig=None), tmp_path / "compiled.tar.gz")

    assert told == {"DerivedInformation": {"DerivedDataInputConfig": '{"image": [1, 3, 8, 8]}'}}
    with tarfile.open(tmp_path / "compiled.tar.gz") as archive:
        assert "compiled.onnx" in archive.getnames()


def test_a_graph_that_does_not_know_them_is_refused_without(tmp_path: Path) -> None:
    body = tarball({"model.onnx": onnx_model(shape=(1, 3, "height", 8))})

    said = refusal(tmp_path, request(DataInputConfig=None), body)

    assert "We are unable to extract DataInputConfig from the model due to the shape of image is not static" in said
