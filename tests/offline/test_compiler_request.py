"""Requests that Neo refuses: before there is a job, or as its failure."""

import json
from typing import Any

import pytest

from offline.compiler.errors import CompileError
from offline.compiler.facts import DEVICES, FRAMEWORKS, PLATFORMS
from offline.compiler.request import read, refusal, target_name
from tests.offline.models import LINUX, request

NVIDIA = {"TargetPlatform": {"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"}}
JETSON = {"gpu-code": "sm_72", "trt-ver": "5.1.6", "cuda-ver": "10.0"}
PHONE = {"TargetPlatform": {"Os": "ANDROID", "Arch": "ARM64"}}


def said(framework: str = "ONNX", *, output: dict[str, Any] = LINUX, **config: Any) -> str:
    """The failure reason of such a job, "" when it is read without."""
    try:
        read(request(framework, output=output, **config))
    except CompileError as error:
        return str(error)
    return ""


def api(framework: str = "ONNX", *, output: dict[str, Any] = LINUX, **config: Any) -> str:
    """Why the API refuses such a request, "" when it does not."""
    return refusal(request(framework, output=output, **config), "us-east-1")


# ---- The API -----------------------------------------------------------------------------------------------------


def test_a_target_is_a_device_or_a_platform() -> None:
    assert "Exactly one of TargetDevice and TargetPlatform" in api(output={**LINUX, "TargetDevice": "rasp4b"})
    assert "Exactly one of TargetDevice and TargetPlatform" in api(output={})
    assert api(output={"TargetDevice": "rasp4b"}) == api() == ""


def test_a_job_needs_a_model_once() -> None:
    asked = request()
    assert refusal({**asked, "ModelPackageVersionArn": "arn"}, "us-east-1")
    assert refusal({"OutputConfig": LINUX}, "us-east-1")


@pytest.mark.parametrize("device", ["coreml", "amba_cv25", "x86_win64", "qcs605", "imx8mplus", "ml_inf2"])
def test_some_devices_take_no_framework_version(device: str) -> None:
    region = DEVICES[device].region or "us-east-1"
    asked = request("PYTORCH", output={"TargetDevice": device}, FrameworkVersion="1.8")

    assert "only part of target devices" in refusal(asked, region)
    assert refusal(request("PYTORCH", output={"TargetDevice": device}), region) == ""


@pytest.mark.parametrize(
    ("framework", "version", "taken"),
    [
        ("PYTORCH", "1.8", True),
        ("PYTORCH", "2.0.1", True),
        ("PYTORCH", "1.3", True),
        ("PYTORCH", "2.13", False),
        ("MXNET", "1.8.0", True),
        ("MXNET", "1.9.1", False),
        ("TFLITE", "1.15", True),
        ("TENSORFLOW", "2.9", True),
        ("ONNX", "1.7", False),
        ("KERAS", "2.2.4", False),
    ],
)
def test_a_framework_version_is_none_that_neo_has_not_yet(framework: str, version: str, taken: bool) -> None:
    refused = api(framework, FrameworkVersion=version)

    assert (refused == "") == taken
    assert taken or framework in refused


@pytest.mark.parametrize(("device", "region"), [("ml_inf2", "us-east-2"), ("ml_trn1", "us-east-1")])
def test_two_instances_are_in_one_region_alone(device: str, region: str) -> None:
    asked = request("PYTORCH", output={"TargetDevice": device})

    assert refusal(asked, region) == ""
    assert f"available in {region} only" in refusal(asked, "eu-west-1")


# ---- Framework and target ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framework", "device"),
    [("TFLITE", "ml_c5"), ("DARKNET", "ml_p3"), ("ONNX", "ml_inf1"), ("MXNET", "ml_trn1"), ("SKLEARN", "rasp4b")],
)
def test_a_device_takes_its_frameworks_and_names_them_to_others(framework: str, device: str) -> None:
    taken = sorted(DEVICES[device].frameworks)

    assert said(framework, output={"TargetDevice": device}) == (
        f"ClientError: OutputConfiguration: Framework {framework} is not supported for {device}: {', '.join(taken)} are"
    )
    assert all(said(other, output={"TargetDevice": device}) == "" for other in taken)


@pytest.mark.parametrize("device", ["deeplens", "ml_eia2"])
def test_a_device_of_the_past_takes_no_framework(device: str) -> None:
    refused = {said(framework, output={"TargetDevice": device}) for framework in FRAMEWORKS}

    assert refused == {f"ClientError: OutputConfiguration: TargetDevice {device} is not supported any more"}


def test_core_ml_takes_tensorflow_and_pytorch_alone() -> None:
    assert {name for name in FRAMEWORKS if not said(name, output={"TargetDevice": "coreml"})} == {
        "TENSORFLOW",
        "PYTORCH",
    }


@pytest.mark.parametrize(
    ("system", "architecture", "accelerator"),
    [("ANDROID", "ARM64", "NVIDIA"), ("ANDROID", "ARM_EABIHF", ""), ("LINUX", "X86", ""), ("LINUX", "ARM64", "NNA")],
)
def test_a_platform_that_is_not_in_neo_s_table_is_refused(system: str, architecture: str, accelerator: str) -> None:
    platform = {"Os": system, "Arch": architecture, **({"Accelerator": accelerator} if accelerator else {})}

    refused = said(output={"TargetPlatform": platform})

    assert refused.startswith("ClientError: OutputConfiguration: TargetPlatform ")
    assert api(output={"TargetPlatform": platform}) == "", "the API lists every system, architecture and accelerator"
    assert all(
        ("_".join(part for part in one if part) in refused) == (one[0] == system)
        for one in PLATFORMS
        if one[2] or one[1] == "ARM_EABI"
    )


def test_a_target_has_the_name_that_neo_gives_artifacts() -> None:
    assert target_name(NVIDIA) == "LINUX_ARM64_NVIDIA"
    assert target_name(LINUX) == "LINUX_X86_64"
    assert target_name({"TargetDevice": "rasp4b"}) == "rasp4b"


# ---- Options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "options", "reason"),
    [
        (LINUX, "{'mattr': ['+neon']}", "is not a JSON object"),
        (LINUX, '"--verbose"', "is not a JSON object"),
        (NVIDIA, "{}", "must have gpu-code, trt-ver, cuda-ver for NVIDIA"),
        (NVIDIA, {**JETSON, "gpu-code": "72"}, "gpu-code is '72'"),
        (NVIDIA, {**JETSON, "trt-ver": "8"}, "trt-ver is '8'"),
        (NVIDIA, {**JETSON, "cuda-ver": 10}, "cuda-ver is 10"),
        ({"TargetDevice": "jetson_nano"}, {"gpu-code": "nano"}, "gpu-code is 'nano'"),
        (PHONE, {"ANDROID_PLATFORM": 20}, "ANDROID_PLATFORM is 20 and must be 21 to 29"),
        (PHONE, {"ANDROID_PLATFORM": "29"}, "ANDROID_PLATFORM is '29'"),
        (PHONE, {"mattr": "+neon"}, "mattr is '+neon'"),
        (PHONE, {"mattr": ["neon"]}, "mattr is ['neon']"),
        ({"TargetDevice": "ml_c5"}, {"dtype": "float16"}, "dtype is 'float16'"),
        (PHONE, {"class_labels": "labels.txt"}, "class_labels is for coreml alone, not for ANDROID_ARM64"),
    ],
)
def test_options_that_neo_does_not_take_are_refused(output: dict[str, Any], options: Any, reason: str) -> None:
    text = options if isinstance(options, str) else json.dumps(options)

    refused = said(output={**output, "CompilerOptions": text})

    assert refused.startswith("ClientError: OutputConfiguration: CompilerOptions ")
    assert reason in refused


@pytest.mark.parametrize(
    ("output", "options"),
    [
        (NVIDIA, {**JETSON, "max-workspace-size": "0x40000000", "precision-mode": "fp16"}),
        ({"TargetDevice": "jetson_xavier"}, {}),
        (PHONE, {"ANDROID_PLATFORM": 21, "mattr": ["+neon", "-vfp4"]}),
        ({"TargetDevice": "sbe_c"}, {"mcpu": "core-avx2"}),
        ({"TargetDevice": "ml_c5"}, {"dtype": "int64"}),
    ],
)
def test_options_of_neo_s_pages_and_of_people_s_own_are_taken(output: dict[str, Any], options: Any) -> None:
    assert said(output={**output, "CompilerOptions": json.dumps(options)}) == ""


def test_inferentia_takes_a_command_line() -> None:
    options = {"CompilerOptions": '"--verbose 1 --num-neuroncores 2"'}

    assert said("PYTORCH", output={"TargetDevice": "ml_inf1", **options}) == ""
    assert "is not a JSON object" in said("PYTORCH", output={"TargetDevice": "ml_c5", **options})


# ---- Inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framework", "inputs", "reason"),
    [
        ("ONNX", "{'image': [1, 3, 8, 8]}", "Cannot load DataInputConfig. Incorrect json format."),
        ("ONNX", "[[1, 3, 8, 8]]", "DataInputConfig is not dictionary"),
        ("PYTORCH", "3", "DataInputConfig is not dictionary or list"),
        ("MXNET", "{}", "DataInputConfig is not dictionary"),
        ("MXNET", '{"data": [1, 3, null, null]}', "it must be a list of sizes above 0"),
        ("MXNET", '{"data": [-1, 3, 8, 8]}', "it must be a list of sizes above 0"),
        ("MXNET", '{"data": [true, 3, 8, 8]}', "it must be a list of sizes above 0"),
        ("MXNET", '{"data": []}', "it must be a list of sizes above 0"),
        ("MXNET", '{"data": [1, 9999999999999]}', "it must be a list of sizes above 0"),
        ("MXNET", '{"data": [1, 3, 32000, 32000]}', "3072000000 numbers; this account compiles inputs of 67108864"),
        ("MXNET", "[" * 9_999, "Cannot load DataInputConfig."),
        ("MXNET", '{"data": {"shape": [1, 3, 8, 8]}}', "it must be a list of sizes above 0"),
        ("ONNX", '{"image": [1, 224, 224, 3]}', "provided in NCHW format. For example, (1,3,224,224)"),
        ("KERAS", '{"input_1": [1, 224, 160, 3]}', "provided in NCHW format. For example, (1,3,224,160)"),
        ("TENSORFLOW", '{"input": [1, 3, 224, 160]}', "provided in NHWC format. For example, (1,224,160,3)"),
        ("TFLITE", '{"input": [1, 3, 224, 224]}', "provided in NHWC format."),
    ],
)
def test_inputs_that_are_not_the_framework_s_are_refused(framework: str, inputs: str, reason: str) -> None:
    refused = said(framework, DataInputConfig=inputs)

    assert refused.startswith("ClientError: InputConfiguration: ")
    assert reason in refused
    assert len(refused) < 500


def test_pytorch_s_inputs_may_be_a_list() -> None:
    asked = read(request("PYTORCH", DataInputConfig="[[1, 3, 8, 8], [1, 2]]"))

    assert asked.inputs == {"input0": (1, 3, 8, 8), "input1": (1, 2)}


def test_a_shape_that_could_be_either_layout_is_believed() -> None:
    assert said("ONNX", DataInputConfig='{"image": [1, 3, 3, 3]}') == ""
    assert said("ONNX", DataInputConfig='{"hidden": [1, 256, 7, 7], "state": [1, 12]}') == ""


def test_trees_need_no_inputs() -> None:
    assert said("XGBOOST", DataInputConfig=None) == said("XGBOOST", DataInputConfig="nonsense") == ""


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({"shape": [1, 64, 64, 3]}, (1, 64, 64, 3)),
        ({"shape": ["1..10", 64, 64, 3]}, (1, 64, 64, 3)),
        ({"shape": ["1..10", 64, 64, 3], "default_shape": [2, 64, 64, 3]}, (2, 64, 64, 3)),
        ({"shape": [[1, 96, 96, 3], [1, 64, 64, 3]]}, (1, 96, 96, 3)),
        ({"shape": [1, 64, 64, 3], "type": "Image", "bias": [-1, -1, -1], "scale": 0.0078}, (1, 64, 64, 3)),
        ([1, 64, 64, 3], (1, 64, 64, 3)),
    ],
)
def test_core_ml_s_flexible_shapes_are_read(given: Any, shape: tuple[int, ...]) -> None:
    asked = request("TENSORFLOW", output={"TargetDevice": "coreml"}, DataInputConfig=json.dumps({"input": given}))

    assert read(asked).inputs == {"input": shape}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"shape": [1, 64, 64, 3], "type": "Picture"}, "it must be Image or Tensor"),
        ({"shape": [1, 64, 64, 3], "type": "Image", "scale": 1}, "needs bias and scale"),
        ({"shape": ["many", 64, 64, 3]}, "it must be a list of sizes above 0"),
        ({"type": "Tensor"}, "it must be a list of sizes above 0"),
    ],
)
def test_core_ml_s_inputs_are_checked(given: Any, reason: str) -> None:
    inputs = json.dumps({"input": given})

    assert reason in said("TENSORFLOW", output={"TargetDevice": "coreml"}, DataInputConfig=inputs)
