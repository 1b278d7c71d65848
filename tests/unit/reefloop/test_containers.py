"""What Neo's inference containers are told and asked, and the entry point that they call."""

import io
import json
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reefloop.compilation import containers
from reefloop.compilation.targets import TARGETS
from reefloop.payloads import CompilationTarget

REGISTRY = "785573368785.dkr.ecr.us-east-1.amazonaws.com"
RUNTIME = f"{REGISTRY}/sagemaker-neo-onnx:1.5.0-cpu-py3"
PYTORCH = f"{REGISTRY}/sagemaker-inference-pytorch:1.8-cpu-py3"
TENSORFLOW = f"{REGISTRY}/sagemaker-inference-tensorflow:1.15.3-cpu-py3"
XGBOOST = f"{REGISTRY}/xgboost-neo@sha256:0a1b"


@pytest.fixture
def entry_point() -> ModuleType:
    """inference.py as a container imports it."""
    module = ModuleType("inference")
    exec(compile(containers.SCRIPT, containers.SCRIPT_NAME, "exec"), module.__dict__)
    return module


def compiled_for(data_input_config: str) -> CompilationTarget:
    return CompilationTarget(
        name="ml_c5",
        record=TARGETS["ml_c5"].record(),
        delivery="endpoint",
        refusal="",
        input_config={"DataInputConfig": data_input_config} if data_input_config else {},
        output_config={},
        instance_type="ml.c5.xlarge",
    )


@pytest.mark.parametrize(
    ("image", "script", "question"),
    [
        (RUNTIME, "apart", "application/x-npz"),
        (f"{REGISTRY}/sagemaker-neo-keras:2.2.4-gpu-py3", "apart", "application/x-npz"),
        (PYTORCH, "within", "application/x-npz"),
        (f"{REGISTRY}/sagemaker-inference-mxnet:1.8.0-cpu-py3", "within", "application/x-npz"),
        (TENSORFLOW, "", "application/json"),
        (XGBOOST, "", ""),
    ],
)
def test_each_container_has_its_place_for_the_entry_point_and_its_questions(
    image: str, script: str, question: str
) -> None:
    found = containers.of(image)
    assert (found.script, found.question) == (script, question)


@pytest.mark.parametrize(("image", "folder"), [(RUNTIME, "s3://data/script.tar.gz"), (PYTORCH, "/opt/ml/model/code")])
def test_a_container_is_told_where_its_entry_point_is(image: str, folder: str) -> None:
    told = containers.environment(
        image, script_uri="s3://data/script.tar.gz", inputs={"a": [1], "b": [1]}, region="eu-west-1"
    )
    assert told["SAGEMAKER_SUBMIT_DIRECTORY"] == folder
    assert told["SAGEMAKER_PROGRAM"] == "inference.py"
    assert told["SAGEMAKER_REGION"] == "eu-west-1"
    assert told["INPUT_NAMES"] == "a,b"


def test_a_container_without_an_entry_point_is_told_nothing() -> None:
    assert containers.environment(XGBOOST, script_uri="", inputs={}, region="eu-west-1") == {}


@pytest.mark.parametrize(
    ("config", "inputs"),
    [
        ('{"data": [1, 3, 8, 8], "scale": [1]}', {"data": [1, 3, 8, 8], "scale": [1]}),
        ("[[1, 3, 8, 8], [1, 2]]", {"input0": [1, 3, 8, 8], "input1": [1, 2]}),
        ("", {}),
    ],
)
def test_inputs_are_those_of_the_compilation_job(config: str, inputs: dict[str, list[int]]) -> None:
    assert containers.inputs(compiled_for(config)) == inputs


def test_tensorflow_is_asked_about_instances_of_zeros() -> None:
    asked = json.loads(containers.zeros(TENSORFLOW, {"input": [2, 1, 3]}))
    assert asked == {"instances": [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]]}


def test_tensorflow_is_asked_about_several_inputs_by_their_names() -> None:
    asked = json.loads(containers.zeros(TENSORFLOW, {"image": [1, 2], "age": [1]}))
    assert asked == {"inputs": {"image": [[0.0, 0.0]], "age": [0.0]}}


def test_a_question_about_a_large_input_stays_below_the_limit_of_a_request() -> None:
    assert len(containers.zeros(RUNTIME, {"image": [1, 3, 1024, 2048]})) < 6 * 1024 * 1024


SHAPES = st.dictionaries(
    st.from_regex(r"[a-zA-Z][a-zA-Z0-9_.]{0,9}", fullmatch=True),
    st.lists(st.integers(1, 5), max_size=5),
    min_size=1,
    max_size=3,
)


@given(SHAPES)
def test_numpy_reads_zeros_of_every_shape(shapes: dict[str, list[int]]) -> None:
    with np.load(io.BytesIO(containers.zeros(RUNTIME, shapes)), allow_pickle=False) as arrays:
        assert {name: list(arrays[name].shape) for name in arrays.files} == shapes
        assert all(arrays[name].dtype == np.float32 and not arrays[name].any() for name in arrays.files)


def test_the_entry_point_makes_of_a_picture_what_the_model_was_trained_on(entry_point: ModuleType) -> None:
    pixels = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    found = entry_point.neo_preprocess(packed.getvalue(), "application/x-image")
    assert (found.shape, found.dtype) == ((1, 3, 2, 4), np.float32)
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), pixels.astype(np.float32) / np.float32(255))


def test_the_entry_point_names_several_inputs_and_not_a_single_one(
    entry_point: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUT_NAMES", "one")
    single = entry_point.neo_preprocess(containers.zeros(RUNTIME, {"one": [1, 2]}), "application/x-npz")
    assert single.shape == (1, 2)
    monkeypatch.setenv("INPUT_NAMES", "two,one")
    several = entry_point.neo_preprocess(containers.zeros(RUNTIME, {"one": [1, 2], "two": [3]}), "application/x-npz")
    assert {name: array.shape for name, array in several.items()} == {"one": (1, 2), "two": (3,)}


def test_the_entry_point_answers_in_json(entry_point: ModuleType) -> None:
    assert entry_point.neo_postprocess([np.array([[1.5, 2.0]], np.float32)]) == ("[[1.5, 2.0]]", "application/json")
    assert entry_point.neo_postprocess(np.array([1.0])) == ("[1.0]", "application/json")


def test_the_entry_point_gives_a_framework_its_inputs_in_their_order(
    entry_point: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUT_NAMES", "two,one")
    body = containers.zeros(RUNTIME, {"one": [1, 2], "two": [3]})
    answer = entry_point.transform_fn(
        lambda arrays: [array.ndim for array in arrays], body, "application/x-npz", "application/json"
    )
    assert answer == ("[1, 2]", "application/json")
