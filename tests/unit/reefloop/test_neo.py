"""What the tables say about Neo, held against the API's own model and against what the pages say in other words."""

from fnmatch import fnmatchcase

import boto3
import pytest
from botocore.model import ServiceModel

from reefloop.compilation import inputs, neo, options, pages
from reefloop.compilation.targets import TARGETS

PAGES = set(pages.TITLES)


@pytest.fixture(scope="module")
def api() -> ServiceModel:
    client = boto3.client("sagemaker", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    return client.meta.service_model


@pytest.mark.parametrize(
    ("shape", "known"),
    [
        ("Framework", neo.FRAMEWORKS),
        ("TargetDevice", neo.DEVICES),
        ("TargetPlatformOs", neo.OSES),
        ("TargetPlatformArch", neo.ARCHES),
        ("TargetPlatformAccelerator", neo.ACCELERATORS),
    ],
)
def test_the_tables_have_every_value_of_the_api_and_no_other(api: ServiceModel, shape: str, known: object) -> None:
    assert sorted(known) == sorted(api.shape_for(shape).enum)  # type: ignore[call-overload]


def test_the_limits_of_options_and_inputs_are_those_of_the_api(api: ServiceModel) -> None:
    text = api.shape_for("CompilerOptions").metadata
    assert (text["min"], text["max"]) == (options.SHORTEST, options.LONGEST)
    assert api.shape_for("DataInputConfig").metadata["max"] == inputs.LONGEST


def test_the_whole_matrix_of_platforms_is_decided() -> None:
    assert len(neo.PLATFORMS) == len(neo.OSES) * len(neo.ARCHES) * (1 + len(neo.ACCELERATORS))
    taken = {platform.name for platform in neo.PLATFORMS.values() if not platform.refusal}
    assert taken == {
        *("LINUX/X86_64", "LINUX/ARM64", "LINUX/ARM_EABIHF", "LINUX/ARM_EABI"),
        *("LINUX/X86_64/NVIDIA", "LINUX/ARM64/NVIDIA", "LINUX/X86_64/INTEL_GRAPHICS"),
        *("LINUX/ARM64/MALI", "LINUX/ARM_EABIHF/MALI", "LINUX/ARM_EABI/MALI"),
        *("ANDROID/X86_64", "ANDROID/X86", "ANDROID/ARM64", "ANDROID/ARM_EABI"),
        *("ANDROID/X86_64/INTEL_GRAPHICS", "ANDROID/X86/INTEL_GRAPHICS"),
        *("ANDROID/ARM64/MALI", "ANDROID/ARM_EABI/MALI"),
    }


def test_every_fact_has_its_page() -> None:
    hardware = [*neo.DEVICES.values(), *neo.PLATFORMS.values()]
    assert {one.source for one in hardware} | {option.source for option in options.OPTIONS.values()} <= PAGES
    assert all(page.startswith("https://") for page in PAGES)


def test_every_device_is_a_ready_made_target_or_says_why_not() -> None:
    offered = {target.device for target in TARGETS.values() if target.device}
    assert offered == {device.name for device in neo.DEVICES.values() if not device.refusal}


def test_ready_made_targets_send_the_options_that_neos_page_of_devices_shows() -> None:
    for target in TARGETS.values():
        if target.device and target.device != "coreml":  # whose example names another file of labels
            assert dict(target.compiler_options) == dict(neo.DEVICES[target.device].options), target.name


@pytest.mark.parametrize(
    ("framework", "members"),
    [
        ("TENSORFLOW", ["ssd_mobilenet_v2/frozen_inference_graph.pb"]),
        (
            "TENSORFLOW",
            ["1/saved_model.pb", "1/variables/variables.index", "1/variables/variables.data-00000-of-00001"],
        ),
        ("KERAS", ["model.h5"]),
        ("MXNET", ["model-symbol.json", "model-0000.params"]),
        ("ONNX", ["model.onnx"]),
        ("PYTORCH", ["model.pth"]),
        ("PYTORCH", ["mochi.pt"]),
        ("XGBOOST", ["xgboost.model"]),
        ("TFLITE", ["mobilenet.tflite"]),
        ("DARKNET", ["yolov3-tiny.cfg", "yolov3-tiny.weights"]),
    ],
)
def test_what_neos_examples_pack_is_what_its_framework_must_hold(framework: str, members: list[str]) -> None:
    parts = neo.FRAMEWORKS[framework].contents
    of = {member: [part for part in parts if any(fnmatchcase(member, p) for p in part.patterns)] for member in members}
    assert all(len(found) == 1 for found in of.values())
    for part in parts:
        count = sum(found == [part] for found in of.values())
        assert part.least <= count <= (len(members) if part.most is None else part.most)


def test_every_framework_says_what_it_packs_or_why_no_target_takes_it() -> None:
    assert all(bool(framework.contents) != bool(framework.refusal) for framework in neo.FRAMEWORKS.values())
    assert all(bool(framework.versions) != bool(framework.refusal) for framework in neo.FRAMEWORKS.values())
