"""Which combinations of framework, hardware, options and inputs Neo takes, and what is said of the others."""

import contextlib
import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop.compilation import neo, pages, rules
from reefloop.compilation.rules import TargetInvalid, check_input, check_options, verdict
from reefloop.compilation.targets import TARGETS, Target

PAGES = set(pages.TITLES)
JETSON = {"gpu-code": "sm_72", "trt-ver": "5.1.6", "cuda-ver": "10.0"}
ANDROID = {"Os": "ANDROID", "Arch": "ARM64"}
NVIDIA = {"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"}


CORE = {"os": "linux", "architecture": "aarch64"}


def on(device: str = "", **fields: Any) -> Target:
    return Target("buoy", device=device, **fields)


def platform_of(os: str, arch: str, accelerator: str) -> Target:
    return on(platform={"Os": os, "Arch": arch, **({"Accelerator": accelerator} if accelerator else {})})


EVERYWHERE = [*(on(device) for device in neo.DEVICES), *(platform_of(*key) for key in neo.PLATFORMS)]


def frameworks_of(target: Target) -> set[str]:
    return {framework for framework in neo.FRAMEWORKS if verdict(framework, target).supported}


def test_every_framework_has_a_verdict_with_its_reason_and_its_page_on_everything_that_neo_names() -> None:
    for framework, target in product(neo.FRAMEWORKS, EVERYWHERE):
        said = verdict(framework, target)
        assert said == verdict(framework, target)
        assert said.supported == (said.status != "refused")
        assert said.reason
        assert "\n" not in said.reason
        assert said.source in PAGES


EDGE = {"TENSORFLOW", "KERAS", "MXNET", "ONNX", "PYTORCH", "XGBOOST", "TFLITE", "DARKNET"}
INSTANCES = {"TENSORFLOW", "KERAS", "MXNET", "ONNX", "PYTORCH", "XGBOOST"}


def test_each_device_takes_the_frameworks_of_its_page_and_no_other() -> None:
    refused = {"ml_p2", "ml_p3", "ml_inf1", "ml_inf2", "ml_trn1", "ml_eia2", "deeplens"}
    for device in neo.DEVICES:
        wanted = INSTANCES if device.startswith("ml_") else EDGE
        wanted = {"TENSORFLOW", "PYTORCH"} if device == "coreml" else wanted
        assert frameworks_of(on(device)) == (set() if device in refused else wanted), device


def test_each_platform_of_neos_table_takes_the_frameworks_for_devices_and_the_others_none() -> None:
    for key, known in neo.PLATFORMS.items():
        assert frameworks_of(platform_of(*key)) == (set() if known.refusal else EDGE), key


@pytest.mark.parametrize(
    ("framework", "target", "reason"),
    [
        ("CAFFE", on("rasp4b"), "framework 'CAFFE' is not one of TENSORFLOW, KERAS"),
        ("SKLEARN", on("ml_c5"), "no page of Neo says for which target or in what form: export it to ONNX"),
        ("ONNX", on("coreml"), "for coreml Neo takes TENSORFLOW and PYTORCH, and not ONNX"),
        ("TFLITE", on("ml_c5"), "Neo takes TFLITE for devices only, and ml_c5 is for instances"),
        ("ONNX", on("ml_inf2"), "Neo has it in us-east-2 only; compile with the Neuron SDK"),
        ("ONNX", on("ml_eia2"), "no new customers since 2023-04-15"),
        ("ONNX", on("deeplens"), "AWS DeepLens is gone"),
        ("ONNX", on("ml_p3"), "use ml_g4dn"),
        ("ONNX", on("jetson_orin"), "Neo's Jetsons end with Xavier"),
        ("ONNX", on("rasp5b"), "Neo has the Raspberry Pi 3 and 4"),
        ("ONNX", on("hexagon"), "no target of the API compiles for the Hexagon DSP"),
        ("ONNX", on("toaster"), "has device 'toaster', which Neo does not have; it has lambda, ml_m4"),
        (
            "ONNX",
            on(platform={"Os": "LINUX", "Arch": "X86"}),
            "compiles for X86_64, ARM64, ARM_EABIHF, ARM_EABI, and not",
        ),
        ("ONNX", platform_of("ANDROID", "ARM64", "NVIDIA"), "Neo compiles nothing for ANDROID with NVIDIA"),
        ("ONNX", platform_of("LINUX", "ARM64", "NNA"), "Neo compiles nothing for LINUX with NNA"),
        ("ONNX", platform_of("WINDOWS", "X86_64", ""), "Neo takes Os ANDROID or LINUX"),
        ("ONNX", on(platform={**ANDROID, "Abi": "eabi"}), "Neo takes Os ANDROID or LINUX"),
        (
            "ONNX",
            on("ml_c5", compiler_options={"dtype": "int64"}),
            "option 'dtype' is for PYTORCH, and the model is of ONNX",
        ),
    ],
)
def test_a_combination_that_cannot_work_is_refused_with_the_reason(framework: str, target: Target, reason: str) -> None:
    said = verdict(framework, target)
    assert not said.supported
    assert reason in said.reason


@pytest.mark.parametrize(
    ("framework", "target", "status"),
    [
        ("TFLITE", on("imx8mplus"), "tested"),
        ("ONNX", on("imx8mplus"), "documented"),
        ("MXNET", on("qcs603"), "tested"),
        ("MXNET", on("qcs605"), "documented"),
        ("XGBOOST", on("rasp4b"), "documented"),
        ("ONNX", on("ml_c5"), "documented"),
        ("ONNX", on("ml_c6g"), "unproven"),
        ("ONNX", on("lambda"), "unproven"),
        ("PYTORCH", on("amba_cv25"), "tested"),
        ("ONNX", on("amba_cv25"), "documented"),
    ],
)
def test_a_verdict_says_how_sure_it_is(framework: str, target: Target, status: str) -> None:
    assert verdict(framework, target).status == status


@pytest.mark.parametrize(
    ("framework", "device", "version", "taken"),
    [
        ("PYTORCH", "rasp4b", "1.8", True),
        ("PYTORCH", "rasp4b", "1.8.1", True),
        ("PYTORCH", "rasp4b", "1.4", True),  # "1.7, 1.8 or earlier"
        ("PYTORCH", "rasp4b", "1.13", False),  # newer than 1.8, though it sorts before it as text
        ("PYTORCH", "ml_c5", "1.13", True),
        ("PYTORCH", "ml_c5", "2.0", True),
        ("PYTORCH", "ml_c5", "1.9", False),  # between two that are listed, but not one of them
        ("PYTORCH", "ml_c5", "2.13", False),
        ("TENSORFLOW", "rasp4b", "2.4", True),
        ("TENSORFLOW", "rasp4b", "2.5", False),
        ("TENSORFLOW", "ml_c5", "2.9.1", True),
        ("MXNET", "rasp4b", "1.7", True),
        ("MXNET", "ml_c5", "1.8", True),
        ("MXNET", "ml_c5", "1.9", False),
        ("ONNX", "rasp4b", "1.7", True),
        ("ONNX", "rasp4b", "1.16", False),
        ("DARKNET", "rasp4b", "0.1", True),  # no page names a version
        ("PYTORCH", "rasp4b", "1", False),
        ("PYTORCH", "rasp4b", "v1.8", False),
    ],
)
def test_versions_are_those_of_the_page_of_devices_or_of_instances(
    framework: str, device: str, version: str, taken: bool
) -> None:
    said = verdict(framework, on(device), version=version)
    assert said.supported == taken
    assert taken or repr(version) in said.reason


@given(st.sampled_from(sorted(neo.FRAMEWORKS)), st.sampled_from(EVERYWHERE), st.text(max_size=12))
def test_any_text_for_a_version_has_a_verdict(framework: str, target: Target, version: str) -> None:
    assert verdict(framework, target, version=version) == verdict(framework, target, version=version)


@pytest.mark.parametrize(
    ("framework", "target", "sent"),
    [
        ("PYTORCH", on("rasp4b"), "1.8"),
        ("PYTORCH", on(platform=ANDROID), "1.8"),
        ("PYTORCH", on("ml_c5"), "1.8"),
        ("PYTORCH", on("coreml"), ""),
        ("PYTORCH", on("amba_cv25"), ""),
        ("TENSORFLOW", on("x86_win64"), ""),
        ("ONNX", on("rasp4b"), ""),
        ("XGBOOST", on("ml_c5"), ""),
    ],
)
def test_a_version_is_sent_only_where_the_service_takes_one(framework: str, target: Target, sent: str) -> None:
    assert rules.sent_version(framework, target, "1.8") == sent
    assert rules.sent_version(framework, target, "") == ""


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_every_ready_made_target_is_one_that_neo_takes_for_the_loops_own_model(target: Target) -> None:
    rules.check_target(target)
    framework = rules.loop_framework(target)
    assert framework == ("PYTORCH" if target.name == "ios" else "ONNX")
    for pixels in (32, 224, 1024):
        check_input(framework, target, json.dumps({"image": [1, 3, pixels, pixels]}))


@pytest.mark.parametrize(
    "target",
    [
        on("jetson_xavier", compiler_options=JETSON),
        on("jetson_nano", compiler_options={"JETPACK_VERSION": "4.6", "gpu_code": "sm_72"}),
        on(platform=NVIDIA, compiler_options=JETSON | {"precision-mode": "fp16", "max-workspace-size": "2147483648"}),
        on("ml_g4dn"),
        on("ml_c5", compiler_options={"dtype": "float32"}),
        on("rasp3b", compiler_options={"mattr": ["+neon"]}),
        on("sbe_c", compiler_options={"mcpu": "core-avx2"}),
        on(platform=ANDROID, compiler_options={"ANDROID_PLATFORM": 21}),
        on(platform=ANDROID, compiler_options={"ANDROID_PLATFORM": 29, "mattr": ("+neon",)}),
        on("coreml", compiler_options={"class_labels": "imagenet_labels_1000.txt"}),
        on("coreml"),
    ],
)
def test_options_as_neos_pages_show_them_are_taken(target: Target) -> None:
    check_options(target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (on("jetson_nano"), "lacks 'gpu-code', 'trt-ver', 'cuda-ver' among its compiler options"),
        (on(platform=NVIDIA, compiler_options={"gpu-code": "sm_72", "cuda-ver": "10.0"}), "lacks 'trt-ver'"),
        (on("jetson_nano", compiler_options={"JETPACK_VERSION": "4.6"}), "lacks 'gpu_code'"),
        (on("jetson_nano", compiler_options=JETSON | {"gpu-code": "72"}), "must be an architecture such as 'sm_72'"),
        (
            on("jetson_nano", compiler_options=JETSON | {"trt-ver": "5.1"}),
            "'5.1': it must be TensorRT's version as 'x.y.z'",
        ),
        (
            on("jetson_nano", compiler_options=JETSON | {"cuda-ver": 10.0}),
            "'cuda-ver' 10.0: it must be CUDA's version as",
        ),
        (on(platform=ANDROID, compiler_options={"ANDROID_PLATFORM": 20}), "20: it must be an API level from 21 to 29"),
        (on(platform=ANDROID, compiler_options={"ANDROID_PLATFORM": 30}), "an API level from 21 to 29"),
        (on(platform=ANDROID, compiler_options={"ANDROID_PLATFORM": True}), "an API level from 21 to 29"),
        (on(platform=ANDROID, compiler_options={"ANDROID_PLATFORM": "28"}), "an API level from 21 to 29"),
        (on("rasp4b", compiler_options={"ANDROID_PLATFORM": 28}), "which is for Android and not for rasp4b"),
        (on("rasp4b", compiler_options=JETSON), "'gpu-code', which is for NVIDIA devices and not for rasp4b"),
        (on("rasp4b", compiler_options={"class_labels": "labels.txt"}), "which is for Core ML and not for rasp4b"),
        (on("rasp4b", compiler_options={"dtype": "float32"}), "which is for instances and not for rasp4b"),
        (on("rasp4b", compiler_options={"mattr": "+neon"}), "must be a list of flags such as ['+neon']"),
        (
            on("jetson_nano", compiler_options=JETSON | {"cuda-ver": "1\N{ARABIC-INDIC DIGIT ZERO}.0"}),
            "it must be CUDA's version as",
        ),
        (on("rasp4b", compiler_options={"mattr": []}), "must be a list of flags"),
        (on("rasp4b", compiler_options={"neon": True}), "unknown compiler option 'neon'; rasp4b takes mcpu, mattr"),
        (on("coreml", compiler_options={"class_labels": "../labels.txt"}), "without a folder"),
        (
            on("rasp4b", compiler_options={"mcpu": "a" * 1024}),
            "options of 1036 characters; Neo takes 3 to 1024 as JSON",
        ),
    ],
)
def test_options_that_neo_would_refuse_are_refused_here(target: Target, message: str) -> None:
    with pytest.raises(TargetInvalid) as refused:
        check_options(target)
    assert message in str(refused.value)


def test_options_may_be_as_long_as_neo_takes_them() -> None:
    beside = len(json.dumps({"mcpu": ""}))
    check_options(on("rasp4b", compiler_options={"mcpu": "a" * (1024 - beside)}))
    with pytest.raises(TargetInvalid, match="options of 1025 characters"):
        check_options(on("rasp4b", compiler_options={"mcpu": "a" * (1025 - beside)}))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (on("deeplens"), "AWS DeepLens is gone"),
        (on("toaster"), "'toaster', which Neo does not have"),
        (on("rasp4b", runtime="coreml"), "coreml runs what is compiled for coreml"),
        (on("coreml"), "coreml runs what is compiled for coreml"),
        (on("rasp4b", measured_on="host"), "cannot be measured on 'host': no job runs code for rasp4b"),
        (on("ml_c5", measured_on="host"), "give an instance type of its own family, ml.c5"),
        (on("ml_c5", measured_on="ml.c5d.xlarge"), "give an instance type of its own family, ml.c5"),
        (on("ml_c6g", measured_on="ml.c6g.xlarge"), "the image of the jobs is for x86_64"),
        (on("sbe_c", measured_on="ml.m6gd.large"), "the image of the jobs is for x86_64"),
        (on("rasp4b", greengrass=CORE | {"architecture": "amd64"}), "code for rasp4b runs on 'aarch64'"),
        (on("rasp3b", greengrass=CORE), "the classifier does not run on rasp3b: it is for Linux on amd64 or aarch64"),
        (on("x86_win64", greengrass=CORE | {"architecture": "amd64"}), "the classifier does not run on x86_win64"),
        (on("qcs605", greengrass=CORE), "Leave greengrass out, and the package is delivered in S3"),
        (on("rasp4b", greengrass={"os": "linux", "architecture": "arm64"}), "has 'arm64' for greengrass.architecture"),
        (
            on("rasp4b", greengrass={"architecture": "aarch64"}),
            "None for greengrass.os; code for rasp4b runs on 'linux'",
        ),
    ],
)
def test_a_target_that_could_not_be_delivered_or_measured_is_refused(target: Target, message: str) -> None:
    with pytest.raises(TargetInvalid) as refused:
        rules.check_target(target)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("framework", "device", "text"),
    [
        ("MXNET", "rasp4b", '{"data":[1,3,1024,1024]}'),
        ("ONNX", "rasp4b", '{"var1": [1,1,28,28], "var2":[1,1,28,28]}'),
        ("KERAS", "rasp4b", '{"input_1":[1,3,224,224]}'),
        ("TENSORFLOW", "rasp4b", '{"input":[1,1024,1024,3]}'),
        ("TFLITE", "rasp4b", '{"input":[1,224,224,3]}'),
        ("PYTORCH", "rasp4b", '{"input0":[1,3,224,224]}'),
        ("PYTORCH", "rasp4b", "[[1,3,224,224], [1,3,224,224]]"),
        ("PYTORCH", "ml_c5", ""),
        ("XGBOOST", "rasp4b", ""),
        ("XGBOOST", "rasp4b", '{"data":[1,69]}'),
        ("ONNX", "rasp4b", '{"tokens":[1,128]}'),
        ("ONNX", "rasp4b", '{"stripe":[1,3,224,1]}'),
        ("TENSORFLOW", "rasp4b", '{"stripe":[1,1,224,3]}'),
        ("ONNX", "rasp4b", '{"thermal":[1,2,64,64]}'),
        ("TENSORFLOW", "coreml", '{"input_1": {"shape": ["1..10", 224, 224, 3], "default_shape": [1, 224, 224, 3]}}'),
        ("TENSORFLOW", "coreml", '{"input_1": {"shape": [[1, 224, 224, 3], [1, 160, 160, 3]]}}'),
        ("PYTORCH", "coreml", '[{"shape": [[1,3,224,224], [1,3,160,160]], "default_shape": [1,3,224,224]}]'),
        (
            "TENSORFLOW",
            "coreml",
            '{"i": {"shape": [1,224,224,3], "type": "Image", "bias": [-1,-1,-1], "scale": 0.007843137255}}',
        ),
    ],
)
def test_inputs_as_neos_pages_show_them_are_taken(framework: str, device: str, text: str) -> None:
    check_input(framework, on(device), text)


@pytest.mark.parametrize(
    ("framework", "device", "text", "message"),
    [
        ("ONNX", "rasp4b", "", "ONNX models need the names and shapes of their inputs"),
        ("PYTORCH", "rasp4b", "", "PYTORCH models need the names and shapes"),
        ("ONNX", "rasp4b", "{'data': [1,3,224,224]}", 'is not JSON: {"data":[1,3,224,224]}, with double quotes'),
        ("ONNX", "rasp4b", '{"data":[1,3,2147483648,224]}', "a whole number from 1 to 2147483647"),
        ("ONNX", "rasp4b", "[" * 5000, "is not JSON"),
        ("ONNX", "rasp4b", "[[1,3,224,224]]", "must name the inputs, each with its shape"),
        ("ONNX", "rasp4b", "{}", "must name the inputs"),
        ("ONNX", "rasp4b", "7", "must name the inputs"),
        ("ONNX", "rasp4b", '{"data":[]}', "it must have a list of lengths"),
        ("ONNX", "rasp4b", '{"data":"1,3,224,224"}', "it must have a list of lengths"),
        ("ONNX", "rasp4b", '{"data":[-1,3,224,224]}', "Neo compiles static shapes"),
        ("ONNX", "rasp4b", '{"data":[null,3,224,224]}', "Neo compiles static shapes"),
        ("ONNX", "rasp4b", '{"data":["1..10",3,224,224]}', "Neo compiles static shapes"),
        ("ONNX", "rasp4b", '{"data":[true,3,224,224]}', "Neo compiles static shapes"),
        ("ONNX", "rasp4b", '{"data":[1,224,224,3]}', "ONNX wants NCHW"),
        ("KERAS", "rasp4b", '{"input_1":[1,224,224,3]}', "KERAS wants NCHW"),
        ("TENSORFLOW", "rasp4b", '{"input":[1,3,224,224]}', "TENSORFLOW wants NHWC"),
        ("ONNX", "rasp4b", '{"data":{"shape":[1,3,224,224]}}', "only Core ML takes"),
        ("PYTORCH", "coreml", '{"i":{"shape":["10..1",3,224,224]}}', "Neo compiles static shapes"),
        ("PYTORCH", "coreml", f'{{"i":{{"shape":["1..{"9" * 5000}",3,224,224]}}}}', "Neo compiles static shapes"),
        ("PYTORCH", "rasp4b", f'{{"i":[{"9" * 5000},3,224,224]}}', "is not JSON"),
        ("PYTORCH", "coreml", '{"i":{"shape":[1,3,224,224],"type":"Picture"}}', "Core ML takes Image and Tensor"),
        ("PYTORCH", "coreml", '{"i":{"shape":[1,3,224,224],"type":"Image"}}', "needs bias and scale"),
        ("PYTORCH", "coreml", '{"i":{"default_shape":[1,3,224,224]}}', "has no shape"),
        ("PYTORCH", "coreml", '{"i":{"shape":[1,3,224,224],"mean":1}}', '"mean"; Core ML takes shape, default_shape'),
        ("PYTORCH", "coreml", '{"i":{"shape":[1,224,224,3]}}', "PYTORCH wants NCHW"),
        ("XGBOOST", "rasp4b", " " * 16_385, "has 16385 characters; Neo takes 16384 at most"),
    ],
)
def test_inputs_that_neo_would_refuse_are_refused_here(framework: str, device: str, text: str, message: str) -> None:
    with pytest.raises(TargetInvalid) as refused:
        check_input(framework, on(device), text)
    assert message in str(refused.value)


def test_what_is_said_of_an_endless_input_stays_short() -> None:
    for text in (f'{{"{"n" * 9000}":[0]}}', f'{{"data":[{",".join(["0"] * 5000)}]}}', "x" * 9000, f'"{"x" * 9000}"'):
        with pytest.raises(TargetInvalid) as refused:
            check_input("ONNX", on("rasp4b"), text)
        assert len(str(refused.value)) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["shape", "default_shape", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.sampled_from(sorted(neo.FRAMEWORKS)), st.sampled_from(["rasp4b", "coreml", "ml_c5"]), JSON)
def test_any_input_is_taken_or_refused_and_never_crashes(framework: str, device: str, value: Any) -> None:
    with contextlib.suppress(TargetInvalid):
        check_input(framework, on(device), json.dumps(value))


@given(st.sampled_from(EVERYWHERE), st.dictionaries(st.sampled_from(["mattr", "gpu-code", "dtype", "x"]), JSON))
def test_any_options_are_taken_or_refused_and_never_crash(target: Target, options: dict[str, Any]) -> None:
    with contextlib.suppress(TargetInvalid):
        check_options(Target(target.name, target.device, target.platform, options))


def test_the_tarball_holds_what_the_model_the_device_and_the_options_ask_for() -> None:
    whats = [part.what for part in rules.contents("PYTORCH", TARGETS["ios"])]
    assert whats == ["one TorchScript model (.pth or .pt)", "the labels (labels.txt)"]
    whats = [part.what for part in rules.contents("ONNX", TARGETS["ambarella-cv25"])]
    assert whats == [
        *("one model (.onnx)", "one JSON configuration (*config.json)"),
        "calibration images (calib_data/)",
    ]
    assert len(rules.contents("ONNX", TARGETS["linux-x86_64"])) == 1
